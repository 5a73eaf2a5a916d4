#include "runtime/image/codec.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/image/codecs.h"

namespace holdall::runtime::image {
namespace {

bool has(std::span<const std::byte> bytes, std::size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() && std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

constexpr std::uint8_t kOpaque = 255;

Decoded decode_any(std::span<const std::byte> bytes, std::uint64_t max_pixels, Alpha alpha) {
  if (has(bytes, 0, "\x89PNG\r\n\x1a\n")) return decode_png(bytes, max_pixels, alpha);
  if (has(bytes, 0, "\xff\xd8\xff")) return decode_jpeg(bytes, max_pixels);
  if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) return decode_webp(bytes, max_pixels, alpha);
  refuse_picture(bytes.empty() ? "it is empty" : "it is neither PNG, JPEG nor WebP");
}

template <class Decode>
Picture read(const std::filesystem::path& file, const std::string& what, Decode decode) {
  const auto bytes = files::read_file(file);
  try {
    return decode(bytes);
  } catch (const Error& error) {
    throw Error(error.kind(), "cannot use " + what + " '" + file.string() + "': " + error.what(), error.param());
  }
}

}  // namespace

void refuse_picture(const std::string& why) {
  throw Error(ErrorKind::kBadRequest, "cannot read the picture: " + why, "image");
}

Picture checked_picture(std::uint64_t width, std::uint64_t height, std::uint64_t max_pixels) {
  const std::string size = std::to_string(width) + "x" + std::to_string(height) + " pixels";
  // Far above the limit of every format that decodes here; keeps int safe.
  constexpr std::uint64_t kLongestSide = 1U << 24;
  if (width == 0 || height == 0) refuse_picture("it has " + size);
  if (width > kLongestSide || height > kLongestSide || width * height > max_pixels) {
    throw Error(ErrorKind::kTooLarge,
                "cannot read the picture: it has " + size + ", more than " + std::to_string(max_pixels) +
                    ": send a smaller one",
                "image");
  }
  return {static_cast<int>(width), static_cast<int>(height), std::vector<std::uint8_t>(width * height * 3)};
}

void split_alpha(std::span<const std::uint8_t> rgba, Decoded& decoded) {
  decoded.alpha.resize(rgba.size() / 4);
  for (std::size_t i = 0; i < decoded.alpha.size(); ++i) {
    std::copy_n(&rgba[4 * i], 3, &decoded.picture.rgb[3 * i]);
    decoded.alpha[i] = rgba[4 * i + 3];
  }
}

void check_encodable(const Picture& picture, const char* format, int longest_side) {
  if (picture.width <= longest_side && picture.height <= longest_side) return;
  throw Error(ErrorKind::kBadRequest,
              "cannot write " + std::to_string(picture.width) + "x" + std::to_string(picture.height) + " pixels as " +
                  format + ": its longest side is " + std::to_string(longest_side) + ": ask for png",
              "output_format");
}

Picture decode(std::span<const std::byte> bytes, std::uint64_t max_pixels) {
  Decoded decoded = decode_any(bytes, max_pixels, Alpha::kDrop);
  return turn_upright(std::move(decoded.picture), decoded.orientation);
}

Picture decode_mask(std::span<const std::byte> bytes, std::uint64_t max_pixels) {
  try {
    Decoded decoded = decode_any(bytes, max_pixels, Alpha::kKeep);
    const auto transparent = [](std::uint8_t alpha) { return alpha < kOpaque; };
    if (std::any_of(decoded.alpha.begin(), decoded.alpha.end(), transparent)) {
      for (std::size_t i = 0; i < decoded.alpha.size(); ++i)
        std::fill_n(&decoded.picture.rgb[3 * i], 3, static_cast<std::uint8_t>(kOpaque - decoded.alpha[i]));
    }
    return turn_upright(std::move(decoded.picture), decoded.orientation);
  } catch (const Error& error) {
    throw Error(error.kind(), std::string("cannot use the mask: ") + error.what(), "mask");
  }
}

Picture read_picture(const std::filesystem::path& file, std::uint64_t max_pixels) {
  return read(file, "picture", [&](const auto& bytes) { return decode(bytes, max_pixels); });
}

Picture read_mask(const std::filesystem::path& file, std::uint64_t max_pixels) {
  return read(file, "mask", [&](const auto& bytes) { return decode_mask(bytes, max_pixels); });
}

std::vector<std::byte> encode(const Picture& picture, const EncodeOptions& options) {
  const auto pixels = static_cast<std::uint64_t>(picture.width) * static_cast<std::uint64_t>(picture.height);
  if (picture.width <= 0 || picture.height <= 0 || picture.rgb.size() != pixels * 3) {
    throw Error(ErrorKind::kInternal, "cannot write a picture of " + std::to_string(picture.width) + "x" +
                                          std::to_string(picture.height) + " pixels: it holds " +
                                          std::to_string(picture.rgb.size()) + " bytes");
  }
  switch (options.format) {
    case Format::kPng:
      return encode_png(picture, options);
    case Format::kJpeg:
      return encode_jpeg(picture, options);
    case Format::kWebp:
      return encode_webp(picture, options);
  }
  throw Error(ErrorKind::kInternal, "unknown picture format");
}

}  // namespace holdall::runtime::image
