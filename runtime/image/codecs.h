// What codec.cpp asks of each format's file. A decoder gives pixels as stored; codec.cpp turns them upright.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/image/codec.h"
#include "runtime/image/orientation.h"
#include "runtime/image/picture.h"

namespace holdall::runtime::image {

struct Decoded {
  Picture picture;
  Orientation orientation = Orientation::kUpright;
  std::vector<std::uint8_t> alpha{};  // height × width, where it is kept and the file has one; 0 is transparent
};

enum class Alpha { kDrop, kKeep };

// Each throws Error{kBadRequest, …, "image"}, and calls `checked_picture` before it allocates by the header's size.
Decoded decode_png(std::span<const std::byte> bytes, std::uint64_t max_pixels, Alpha alpha);
Decoded decode_jpeg(std::span<const std::byte> bytes, std::uint64_t max_pixels);
Decoded decode_webp(std::span<const std::byte> bytes, std::uint64_t max_pixels, Alpha alpha);

// `picture` has been checked: positive sides and as many bytes as they say.
std::vector<std::byte> encode_png(const Picture& picture, const EncodeOptions& options);
std::vector<std::byte> encode_jpeg(const Picture& picture, const EncodeOptions& options);
std::vector<std::byte> encode_webp(const Picture& picture, const EncodeOptions& options);

// Throws Error{kBadRequest, "cannot read the picture: <why>", "image"}.
[[noreturn]] void refuse_picture(const std::string& why);

// A black picture of this size, unless it is empty or has more than `max_pixels`: the former is refused, the latter
// Error{kTooLarge, …, "image"}.
Picture checked_picture(std::uint64_t width, std::uint64_t height, std::uint64_t max_pixels);

// Takes pixels of four channels apart, row by row.
void split_alpha(std::span<const std::uint8_t> rgba, Decoded& decoded);

// Throws Error{kBadRequest, …, "output_format"} where a side is longer than `format` can say.
void check_encodable(const Picture& picture, const char* format, int longest_side);

}  // namespace holdall::runtime::image
