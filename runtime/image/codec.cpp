#include "runtime/image/codec.h"

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
    refuse_picture("it has " + size + ", more than " + std::to_string(max_pixels) + ": send a smaller one");
  }
  return {static_cast<int>(width), static_cast<int>(height), std::vector<std::uint8_t>(width * height * 3)};
}

void check_encodable(const Picture& picture, const char* format, int longest_side) {
  if (picture.width <= longest_side && picture.height <= longest_side) return;
  throw Error(ErrorKind::kBadRequest,
              "cannot write " + std::to_string(picture.width) + "x" + std::to_string(picture.height) + " pixels as " +
                  format + ": its longest side is " + std::to_string(longest_side) + ": ask for png",
              "output_format");
}

Picture decode(std::span<const std::byte> bytes, std::uint64_t max_pixels) {
  Decoded decoded;
  if (has(bytes, 0, "\x89PNG\r\n\x1a\n")) {
    decoded = decode_png(bytes, max_pixels);
  } else if (has(bytes, 0, "\xff\xd8\xff")) {
    decoded = decode_jpeg(bytes, max_pixels);
  } else if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) {
    decoded = decode_webp(bytes, max_pixels);
  } else {
    refuse_picture(bytes.empty() ? "it is empty" : "it is neither PNG, JPEG nor WebP");
  }
  return turn_upright(std::move(decoded.picture), decoded.orientation);
}

Picture read_picture(const std::filesystem::path& file, std::uint64_t max_pixels) {
  const auto bytes = files::read_file(file);
  try {
    return decode(bytes, max_pixels);
  } catch (const Error& error) {
    throw Error(error.kind(), "cannot use picture '" + file.string() + "': " + error.what(), error.param());
  }
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
