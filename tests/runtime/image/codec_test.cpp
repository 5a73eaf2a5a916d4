#include "runtime/image/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <jpeglib.h>
#include <webp/encode.h>
#include <cstdio>

#include <array>
#include <cstdlib>
#include <random>

#include "runtime/error.h"
#include "tests/runtime/image/files.h"

namespace holdall::runtime::image {
namespace {

using namespace files;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

constexpr std::uint64_t kMost = 1 << 22;

Picture read(const Bytes& bytes) {
  return decode(span_of(bytes), kMost);
}
Bytes write(const Picture& picture, Format format, int quality = 100) {
  return string_of(encode(picture, {.format = format, .quality = quality, .text = {}}));
}

Picture smooth(int width, int height) {
  Picture picture{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const int value : {x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)}) {
        picture.rgb.push_back(static_cast<std::uint8_t>(value));
      }
    }
  }
  return picture;
}

double mean_difference(const Picture& a, const Picture& b) {
  if (a.width != b.width || a.height != b.height || a.rgb.size() != b.rgb.size()) return 1e9;
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(a.rgb[i] - b.rgb[i]);
  return sum / static_cast<double>(a.rgb.size());
}

void expect_error(ErrorKind kind, const Bytes& bytes, const std::string& why, std::uint64_t most) {
  try {
    decode(span_of(bytes), most);
    FAIL() << "decoded, needed: " << why;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(error.param(), "image");
    EXPECT_THAT(error.what(), HasSubstr(why));
  }
}

void expect_refused(const Bytes& bytes, const std::string& why) {
  expect_error(ErrorKind::kBadRequest, bytes, why, kMost);
}

void expect_too_large(const Bytes& bytes, const std::string& why, std::uint64_t most = kMost) {
  expect_error(ErrorKind::kTooLarge, bytes, why, most);
}

enum class Scans { kOne, kMany };

// 8×8 of one colour by libjpeg: RGB from three values, CMYK from four. `space`: what the file stores.
Bytes flat_jpeg(const std::vector<std::uint8_t>& pixel, J_COLOR_SPACE space, Scans scans = Scans::kOne) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = info.image_height = 8;
  info.input_components = static_cast<int>(pixel.size());
  info.in_color_space = pixel.size() == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, space);
  jpeg_set_quality(&info, 100, TRUE);
  if (scans == Scans::kMany) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  std::vector<std::uint8_t> row;
  for (int x = 0; x < 8; ++x) row.insert(row.end(), pixel.begin(), pixel.end());
  for (int y = 0; y < 8; ++y) {
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&info, &pointer, 1);
  }
  jpeg_finish_compress(&info);
  Bytes bytes(reinterpret_cast<char*>(data), size);
  jpeg_destroy_compress(&info);
  std::free(data);
  return bytes;
}

Bytes lossless_webp(const Picture& picture) {
  std::uint8_t* data = nullptr;
  const std::size_t size =
      WebPEncodeLosslessRGB(picture.rgb.data(), picture.width, picture.height, picture.width * 3, &data);
  Bytes bytes(reinterpret_cast<char*>(data), size);
  WebPFree(data);
  return bytes;
}

TEST(Png, RoundTripsExactly) {
  const Picture picture = smooth(67, 31);
  const Picture again = read(write(picture, Format::kPng));
  EXPECT_EQ(again.width, 67);
  EXPECT_EQ(again.height, 31);
  EXPECT_EQ(again.rgb, picture.rgb);
}

TEST(Png, CarriesText) {
  const Bytes bytes = string_of(encode(smooth(2, 2), {.text = {{"holdall:seed", "42"}, {"prompt", "天空"}}}));
  EXPECT_THAT(bytes, HasSubstr(png_chunk("tEXt", Bytes("holdall:seed\0", 13) + "42")));
  EXPECT_THAT(bytes, HasSubstr(Bytes("iTXtprompt\0\0\0\0\0", 15) + "天空"));
  EXPECT_EQ(read(bytes).rgb, smooth(2, 2).rgb);
}

TEST(Png, SameInputGivesSameBytes) {
  EXPECT_EQ(write(smooth(40, 40), Format::kPng), write(smooth(40, 40), Format::kPng));
}

TEST(Png, ReadsGreyOfEveryDepth) {
  EXPECT_THAT(read(png({4, 1, 1, 0}, Bytes("\0\xa0", 2))).rgb,
              ElementsAre(255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0));
  EXPECT_THAT(read(png({2, 1, 2, 0}, Bytes("\0\x60", 2))).rgb, ElementsAre(85, 85, 85, 170, 170, 170));
  EXPECT_THAT(read(png({2, 1, 4, 0}, Bytes("\0\x1f", 2))).rgb, ElementsAre(17, 17, 17, 255, 255, 255));
  EXPECT_THAT(read(png({1, 1, 8, 0}, Bytes("\0\x63", 2))).rgb, ElementsAre(99, 99, 99));
  EXPECT_THAT(read(png({1, 1, 16, 0}, Bytes("\0\x63\xff", 3))).rgb, ElementsAre(99, 99, 99));
}

TEST(Png, KeepsTheHighByteOf16Bits) {
  EXPECT_THAT(read(png({1, 1, 16, 2}, Bytes("\0\x10\xff\x20\x00\x30\x80", 7))).rgb, ElementsAre(0x10, 0x20, 0x30));
}

TEST(Png, DropsAlphaWithoutCompositing) {
  EXPECT_THAT(read(png({1, 1, 8, 6}, Bytes("\0\x0a\x14\x1e\x00", 5))).rgb, ElementsAre(10, 20, 30));
  EXPECT_THAT(read(png({1, 1, 8, 4}, Bytes("\0\x0a\x00", 3))).rgb, ElementsAre(10, 10, 10));
  EXPECT_THAT(read(png({1, 1, 16, 6}, Bytes("\0\x0a\x01\x14\x01\x1e\x01\x00\x00", 9))).rgb, ElementsAre(10, 20, 30));
}

TEST(Png, ReadsPalettesAndIgnoresTheirTransparency) {
  const Bytes palette = png_chunk("PLTE", "\x01\x02\x03\x0b\x0c\x0d"), clear = png_chunk("tRNS", Bytes("\0\0", 2));
  EXPECT_THAT(read(png({2, 1, 8, 3}, Bytes("\0\x01\0", 3), palette)).rgb, ElementsAre(11, 12, 13, 1, 2, 3));
  EXPECT_THAT(read(png({2, 1, 8, 3}, Bytes("\0\x01\0", 3), palette + clear)).rgb, ElementsAre(11, 12, 13, 1, 2, 3));
  EXPECT_THAT(read(png({8, 1, 1, 3}, Bytes("\0\x80", 2), palette)).rgb[0], 11);
}

// Adam7 of 2×2: pass 1 has (0,0), pass 6 (1,0), pass 7 the second row.
TEST(Png, ReadsInterlaced) {
  EXPECT_THAT(read(png({2, 2, 8, 0, 1}, Bytes("\0\x01\0\x02\0\x03\x04", 7))).rgb,
              ElementsAre(1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4));
}

TEST(Png, ReadsOnePixel) {
  EXPECT_THAT(read(png({1, 1, 8, 2}, Bytes("\0\x01\x02\x03", 4))).rgb, ElementsAre(1, 2, 3));
}

// Each would inflate to 16 MiB.
TEST(Png, ReadsPastCompressedBombs) {
  const Bytes bomb = deflated(Bytes(16 << 20, 'x'));
  const Bytes extra = png_chunk("iCCP", Bytes("p\0\0", 3) + bomb) + png_chunk("zTXt", Bytes("k\0\0", 3) + bomb) +
                      png_chunk("iTXt", Bytes("k\0\x01\0\0\0", 6) + bomb);
  EXPECT_THAT(read(png({1, 1, 8, 2}, Bytes("\0\x01\x02\x03", 4), extra)).rgb, ElementsAre(1, 2, 3));
}

TEST(Png, ReadsPastLongMetadata) {
  const Bytes extra = png_chunk("tEXt", Bytes("k\0", 2) + Bytes(9 << 20, 'x'));
  EXPECT_THAT(read(png({1, 1, 8, 2}, Bytes("\0\x01\x02\x03", 4), extra)).rgb, ElementsAre(1, 2, 3));
}

TEST(Png, RefusesBrokenChunksAndData) {
  const Bytes good = png({1, 1, 8, 2}, Bytes("\0\x01\x02\x03", 4));
  Bytes bad = good;
  bad[29] ^= 1;  // IHDR's CRC
  expect_refused(bad, "cannot read the picture");
  expect_refused(png({1, 4, 8, 2}, Bytes("\0\x01\x02\x03", 4)), "cannot read the picture");    // rows are missing
  expect_refused(png({1, 1, 8, 2}, Bytes("\x09\x01\x02\x03", 4)), "cannot read the picture");  // no such filter
  expect_refused(png({1, 1, 3, 2}, Bytes("\0\x01\x02\x03", 4)), "cannot read the picture");    // no such depth
  expect_refused(png({2, 1, 8, 3}, Bytes("\0\x01\0", 3)), "cannot read the picture");          // no palette
}

TEST(Jpeg, RoundTripsClosely) {
  const Picture picture = smooth(67, 31);
  EXPECT_LT(mean_difference(read(write(picture, Format::kJpeg, 100)), picture), 1.0);
  EXPECT_LT(mean_difference(read(write(picture, Format::kJpeg, 60)), picture), 4.0);
  EXPECT_LT(write(picture, Format::kJpeg, 20).size(), write(picture, Format::kJpeg, 95).size());
}

// Adobe's files hold inverted inks: full white is 255 four times.
TEST(Jpeg, ReadsCmykAndYcckAsAdobeWritesThem) {
  for (const J_COLOR_SPACE space : {JCS_CMYK, JCS_YCCK}) {
    const Picture white = read(flat_jpeg({255, 255, 255, 255}, space));
    EXPECT_THAT(std::vector<int>(white.rgb.begin(), white.rgb.begin() + 3), ElementsAre(255, 255, 255)) << space;
    const Picture red = read(flat_jpeg({255, 0, 0, 255}, space));
    EXPECT_GE(red.rgb[0], 253) << space;
    EXPECT_LE(red.rgb[1], 3) << space;
    EXPECT_LE(red.rgb[2], 3) << space;
    const Picture dark = read(flat_jpeg({200, 200, 200, 100}, space));  // 100 · 200 / 255
    EXPECT_NEAR(dark.rgb[1], 78, 2) << space;
  }
}

// Each scan passes over the whole picture.
TEST(Jpeg, RefusesEndlessScans) {
  const Bytes jpeg = flat_jpeg({200, 10, 30}, JCS_YCbCr, Scans::kMany);
  const std::size_t first = jpeg.find("\xff\xda"), next = jpeg.find("\xff\xc4", first);
  ASSERT_NE(next, Bytes::npos);
  Bytes scans;
  for (int i = 0; i < 600; ++i) scans += jpeg.substr(first, next - first);
  EXPECT_NEAR(read(jpeg).rgb[0], 200, 2);
  expect_refused(jpeg.substr(0, first) + scans + jpeg.substr(next), "it has more than 500 scans");
}

TEST(Webp, RoundTripsClosely) {
  const Picture picture = smooth(67, 31);
  EXPECT_LT(mean_difference(read(write(picture, Format::kWebp, 100)), picture), 3.0);
  EXPECT_EQ(read(lossless_webp(picture)).rgb, picture.rgb);
}

TEST(Webp, TakesTheFirstFrameOfAnAnimation) {
  const auto frame = [](const Picture& picture, std::uint32_t x, std::uint32_t y) {
    return riff_chunk("ANMF", little(x / 2, 3) + little(y / 2, 3) +
                                  little(static_cast<std::uint32_t>(picture.width - 1), 3) +
                                  little(static_cast<std::uint32_t>(picture.height - 1), 3) + little(40, 3) +
                                  Bytes(1, '\0') + lossless_webp(picture).substr(12));
  };
  const Picture first{1, 1, {9, 8, 7}}, second = smooth(3, 2);
  const Bytes header =
      riff_chunk("VP8X", Bytes("\x02\0\0\0", 4) + little(2, 3) + little(1, 3)) + riff_chunk("ANIM", Bytes(6, '\0'));
  const Picture picture = read(webp(header + frame(first, 2, 0) + frame(second, 0, 0)));
  EXPECT_EQ(picture.width, 3);
  EXPECT_THAT(picture.rgb, ElementsAre(0, 0, 0, 0, 0, 0, 9, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  // A frame that leaves its canvas.
  expect_refused(webp(header + frame(second, 2, 0)), "cannot read the picture");
}

// What a 3×2 picture a b c / d e f becomes: EXIF 2.3, 4.6.4 A.
TEST(Exif, TurnsEveryOrientationUpright) {
  const Picture picture{3, 2, {'a', 0, 0, 'b', 0, 0, 'c', 0, 0, 'd', 0, 0, 'e', 0, 0, 'f', 0, 0}};
  const Bytes rows = Bytes(1, '\0') + Bytes(reinterpret_cast<const char*>(picture.rgb.data()), 9) + Bytes(1, '\0') +
                     Bytes(reinterpret_cast<const char*>(picture.rgb.data()) + 9, 9);
  const char* upright[] = {"abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"};
  for (std::uint32_t orientation = 1; orientation <= 8; ++orientation) {
    for (const Order order : {Order::kLittle, Order::kBig}) {
      const Picture png_picture = read(png({3, 2, 8, 2}, rows, png_chunk("eXIf", tiff(orientation, order))));
      const Bytes header = riff_chunk("VP8X", Bytes("\x08\0\0\0", 4) + little(2, 3) + little(1, 3));
      const Picture webp_picture =
          read(webp(header + lossless_webp(picture).substr(12) + riff_chunk("EXIF", tiff(orientation, order))));
      for (const Picture& turned : {png_picture, webp_picture}) {
        std::string letters;
        for (std::size_t i = 0; i < turned.rgb.size(); i += 3) letters += static_cast<char>(turned.rgb[i]);
        EXPECT_EQ(letters, upright[orientation - 1]) << orientation;
        EXPECT_EQ(turned.width, orientation < 5 ? 3 : 2);
      }
    }
    const Picture wide = read(with_exif(write(smooth(24, 8), Format::kJpeg), tiff(orientation)));
    EXPECT_EQ(wide.width, orientation < 5 ? 24 : 8);
    EXPECT_EQ(wide.height, orientation < 5 ? 8 : 24);
  }
}

TEST(Exif, IsIgnoredWhereItIsBroken) {
  const Bytes jpeg = write(smooth(24, 8), Format::kJpeg);
  const Bytes good = tiff(6);
  for (std::size_t length = 0; length < good.size(); ++length) {
    const int width = read(with_exif(jpeg, good.substr(0, length))).width;
    EXPECT_EQ(width, length < 20 ? 24 : 8) << length;  // the value ends at byte 20
  }
  Bytes far = good;
  far.replace(4, 4, "\xff\xff\xff\xff");  // the directory's offset
  EXPECT_EQ(read(with_exif(jpeg, far)).width, 24);
  EXPECT_EQ(read(with_exif(jpeg, tiff(0))).width, 24);
  EXPECT_EQ(read(with_exif(jpeg, tiff(9))).width, 24);
}

TEST(Decode, RefusesWhatIsNoPicture) {
  expect_refused("", "it is empty");
  expect_refused("hello", "neither PNG, JPEG nor WebP");
  expect_refused("GIF89a.......................", "neither PNG, JPEG nor WebP");
  expect_refused("<svg xmlns='http://www.w3.org/2000/svg'/>", "neither PNG, JPEG nor WebP");
  expect_refused("\x89PNG\r\n\x1a\n", "truncated");
  expect_refused("\xff\xd8\xff", "cannot read the picture");
  expect_refused(Bytes("RIFF\0\0\0\0WEBP", 12), "cannot read the picture");
}

// 2.7 GB would be allocated.
TEST(Decode, ChecksTheHeaderBeforeAllocating) {
  const std::string size = "it has 30000x30000 pixels, more than 4194304: send a smaller one";
  expect_too_large(png({30000, 30000, 8, 2}, "\0"), size);
  Bytes jpeg = write(smooth(16, 16), Format::kJpeg);
  const std::size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, Bytes::npos);
  jpeg.replace(frame + 5, 4, big(30000, 2) + big(30000, 2));
  expect_too_large(jpeg, size);
  expect_too_large(png({0x7fffffff, 0x7fffffff, 8, 2}, "\0"), "send a smaller one");
  const Bytes canvas = riff_chunk("VP8X", Bytes(4, '\0') + little(15999, 3) + little(15999, 3));
  expect_refused(webp(canvas + lossless_webp(smooth(2, 2)).substr(12)), "cannot read the picture");
}

TEST(Decode, TakesExactlyTheLargestSize) {
  const Bytes bytes = write(smooth(20, 10), Format::kPng);
  EXPECT_EQ(decode(span_of(bytes), 200).width, 20);
  expect_too_large(bytes, "20x10 pixels, more than 199", 199);
}

TEST(Decode, RefusesEveryTruncation) {
  const Picture picture = smooth(301, 203);
  for (const Bytes& whole :
       {write(picture, Format::kPng), write(picture, Format::kJpeg, 90), write(picture, Format::kWebp, 80),
        lossless_webp(picture), flat_jpeg({1, 2, 3, 4}, JCS_YCCK)}) {
    ASSERT_GT(read(whole).width, 0);
    for (std::size_t percent = 0; percent < 100; ++percent) {
      expect_refused(whole.substr(0, whole.size() * percent / 100), percent == 0 ? "it is empty" : "");
    }
  }
}

// Anything may come of it but a crash or another exception.
TEST(Decode, SurvivesFlippedBytes) {
  const Picture picture = smooth(61, 43);
  std::mt19937 generator(7);
  for (const Bytes& whole :
       {write(picture, Format::kPng), write(picture, Format::kJpeg, 90), write(picture, Format::kWebp, 80),
        lossless_webp(picture), with_exif(write(picture, Format::kJpeg, 50), tiff(7))}) {
    int refused = 0;
    for (int i = 0; i < 300; ++i) {
      Bytes broken = whole;
      for (unsigned flips = generator() % 4 + 1; flips > 0; --flips) {
        broken[generator() % broken.size()] = static_cast<char>(generator());
      }
      try {
        EXPECT_GT(read(broken).width, 0);
      } catch (const Error& error) {
        EXPECT_TRUE(error.kind() == ErrorKind::kBadRequest || error.kind() == ErrorKind::kTooLarge) << error.what();
        ++refused;
      }
    }
    EXPECT_GT(refused, 0);
  }
}

Picture mask_of(const Bytes& bytes) {
  return decode_mask(span_of(bytes), kMost);
}

TEST(Mask, SelectsWhatIsTransparent) {
  const Bytes rgba = png({3, 1, 8, 6}, Bytes("\0\x01\x02\x03\xff\x04\x05\x06\x00\x07\x08\x09\x40", 13));
  EXPECT_THAT(mask_of(rgba).rgb, ElementsAre(0, 0, 0, 255, 255, 255, 191, 191, 191));
  const Bytes grey = png({2, 1, 8, 4}, Bytes("\0\x01\xff\x02\x00", 5));
  EXPECT_THAT(mask_of(grey).rgb, ElementsAre(0, 0, 0, 255, 255, 255));
  const Bytes palette = png_chunk("PLTE", "\x01\x02\x03\x0b\x0c\x0d"), clear = png_chunk("tRNS", Bytes("\0", 1));
  EXPECT_THAT(mask_of(png({2, 1, 8, 3}, Bytes("\0\x01\0", 3), palette + clear)).rgb,
              ElementsAre(0, 0, 0, 255, 255, 255));
}

TEST(Mask, SelectsWhatIsWhiteWhereNothingIsTransparent) {
  const Bytes opaque = png({2, 1, 8, 6}, Bytes("\0\xff\xff\xff\xff\x00\x00\x00\xff", 9));
  EXPECT_THAT(mask_of(opaque).rgb, ElementsAre(255, 255, 255, 0, 0, 0));
  EXPECT_THAT(mask_of(png({2, 1, 8, 0}, Bytes("\0\xff\x10", 3))).rgb, ElementsAre(255, 255, 255, 16, 16, 16));
  const Picture picture = smooth(24, 8);
  EXPECT_EQ(mask_of(write(picture, Format::kJpeg)).rgb, read(write(picture, Format::kJpeg)).rgb);
}

TEST(Mask, SelectsWhatIsTransparentInWebp) {
  const std::uint8_t rgba[] = {9, 9, 9, 255, 9, 9, 9, 0};
  std::uint8_t* data = nullptr;
  const std::size_t size = WebPEncodeLosslessRGBA(rgba, 2, 1, 8, &data);
  const Bytes bytes(reinterpret_cast<char*>(data), size);
  WebPFree(data);
  EXPECT_THAT(mask_of(bytes).rgb, ElementsAre(0, 0, 0, 255, 255, 255));
  EXPECT_EQ(mask_of(lossless_webp(smooth(3, 3))).rgb, smooth(3, 3).rgb);
}

TEST(Mask, IsTurnedUprightAsItsPictureIs) {
  const Bytes turned = png({2, 1, 8, 4}, Bytes("\0\x01\xff\x02\x00", 5), png_chunk("eXIf", tiff(3)));
  EXPECT_THAT(mask_of(turned).rgb, ElementsAre(255, 255, 255, 0, 0, 0));
}

TEST(Mask, IsNamedWhereItCannotBeUsed) {
  try {
    mask_of("no picture");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadRequest);
    EXPECT_EQ(error.param(), "mask");
    EXPECT_THAT(error.what(), HasSubstr("cannot use the mask: "));
  }
}

TEST(Encode, RefusesWhatIsNoPicture) {
  EXPECT_THROW(encode(Picture{}, {}), Error);
  EXPECT_THROW(encode(Picture{2, 2, {1, 2, 3}}, {}), Error);
}

TEST(Encode, RefusesASideThatTheFormatCannotSay) {
  const Picture strip{16384, 1, std::vector<std::uint8_t>(16384 * 3)};
  try {
    encode(strip, {.format = Format::kWebp, .text = {}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadRequest);
    EXPECT_EQ(error.param(), "output_format");
    EXPECT_THAT(error.what(), HasSubstr("16384x1 pixels as webp: its longest side is 16383"));
  }
  EXPECT_EQ(read(write(strip, Format::kJpeg)).width, 16384);
}

}  // namespace
}  // namespace holdall::runtime::image
