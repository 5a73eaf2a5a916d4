// PNG, JPEG and WebP, by libpng, libjpeg-turbo and libwebp. Knows nothing of torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/image/picture.h"

namespace holdall::runtime::image {

enum class Format { kPng, kJpeg, kWebp };

// Told by the first bytes, not by a name. Every decoder resolves EXIF orientation, palettes, 16-bit, grey and CMYK;
// alpha is dropped, not composited (as PIL's convert("RGB") does). The header is checked against `max_pixels` before
// anything of the picture's size is allocated. Throws Error{kBadRequest, …, "image"} for what is no picture, is broken
// or truncated, and Error{kTooLarge, …, "image"} for what has too many pixels.
Picture decode(std::span<const std::byte> bytes, std::uint64_t max_pixels);

// What a mask selects: white is repainted, black is kept. In a picture with transparent places those are what is white
// (OpenAI's masks); any other is taken as it is. Throws as decode() does, with "mask" for "image".
Picture decode_mask(std::span<const std::byte> bytes, std::uint64_t max_pixels);

// decode() and decode_mask() of a file, which their errors name. Throw Error{kNotFound, kStorage} too.
Picture read_picture(const std::filesystem::path& file, std::uint64_t max_pixels);
Picture read_mask(const std::filesystem::path& file, std::uint64_t max_pixels);

struct EncodeOptions {
  Format format = Format::kPng;
  int quality = 100;                        // 0–100, JPEG and WebP ("output_compression")
  std::map<std::string, std::string> text;  // PNG tEXt metadata
};
std::vector<std::byte> encode(const Picture& picture, const EncodeOptions& options);

}  // namespace holdall::runtime::image
