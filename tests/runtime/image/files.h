// Pictures made by hand: what encoders do not write.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace holdall::runtime::image::files {

using Bytes = std::string;

inline std::span<const std::byte> span_of(const Bytes& bytes) {
  return std::as_bytes(std::span(bytes));
}
inline Bytes string_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes big(std::uint32_t value, int size) {
  Bytes out;
  for (int i = size - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}
inline Bytes little(std::uint32_t value, int size) {
  Bytes out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

inline Bytes deflated(const Bytes& bytes) {
  uLongf size = compressBound(bytes.size());
  Bytes out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  out.resize(size);
  return out;
}

inline Bytes png_chunk(const char* type, const Bytes& data) {
  const Bytes body = type + data;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big(static_cast<std::uint32_t>(data.size()), 4) + body + big(static_cast<std::uint32_t>(crc), 4);
}

struct PngHeader {
  std::uint32_t width, height;
  int depth, colour;  // PNG's colour types: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA
  int interlace = 0;
};

// `extra`: chunks between IHDR and IDAT. `rows`: as stored, each with its filter byte in front.
inline Bytes png(const PngHeader& header, const Bytes& rows, const Bytes& extra = {}) {
  const Bytes ihdr = big(header.width, 4) + big(header.height, 4) + big(static_cast<std::uint32_t>(header.depth), 1) +
                     big(static_cast<std::uint32_t>(header.colour), 1) + Bytes(2, '\0') +
                     big(static_cast<std::uint32_t>(header.interlace), 1);
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", ihdr) + extra + png_chunk("IDAT", deflated(rows)) +
         png_chunk("IEND", {});
}

enum class Order { kLittle, kBig };

// A TIFF block whose only directory says this orientation.
inline Bytes tiff(std::uint32_t orientation, Order order = Order::kLittle) {
  const auto number = [&](std::uint32_t value, int size) {
    return order == Order::kBig ? big(value, size) : little(value, size);
  };
  return Bytes(order == Order::kBig ? "MM" : "II") + number(42, 2) + number(8, 4) + number(1, 2) + number(0x0112, 2) +
         number(3, 2) + number(1, 4) + number(orientation, 2) + number(0, 2) + number(0, 4);
}

// `jpeg` with an APP1 segment right behind its first marker.
inline Bytes with_exif(const Bytes& jpeg, const Bytes& block) {
  const Bytes body = Bytes("Exif\0\0", 6) + block;
  return jpeg.substr(0, 2) + "\xff\xe1" + big(static_cast<std::uint32_t>(body.size() + 2), 2) + body + jpeg.substr(2);
}

inline Bytes riff_chunk(const char* type, const Bytes& data) {
  return type + little(static_cast<std::uint32_t>(data.size()), 4) + data + Bytes(data.size() % 2, '\0');
}
inline Bytes webp(const Bytes& chunks) {
  return "RIFF" + little(static_cast<std::uint32_t>(chunks.size() + 4), 4) + "WEBP" + chunks;
}

}  // namespace holdall::runtime::image::files
