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
// anything of the picture's size is allocated. Throws Error{kBadRequest, …, "image"} for what is no picture, is broken,
// truncated or too large.
Picture decode(std::span<const std::byte> bytes, std::uint64_t max_pixels);

// decode() of a file, which its errors name. Throws Error{kNotFound, kStorage} too.
Picture read_picture(const std::filesystem::path& file, std::uint64_t max_pixels);

struct EncodeOptions {
  Format format = Format::kPng;
  int quality = 100;                        // 0–100, JPEG and WebP ("output_compression")
  std::map<std::string, std::string> text;  // PNG tEXt metadata
};
std::vector<std::byte> encode(const Picture& picture, const EncodeOptions& options);

}  // namespace holdall::runtime::image
