// Little-endian integers in byte buffers, as zstd and the footer store them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace holdall::bundle {

template <class Integer>
Integer load_le(std::span<const std::byte> bytes, std::size_t at) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value = static_cast<Integer>(value | static_cast<Integer>(std::to_integer<Integer>(bytes[at + i]) << (8 * i)));
  }
  return value;
}

template <class Integer>
void append_le(std::vector<std::byte>& out, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
}

inline std::span<const std::byte> as_byte_span(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace holdall::bundle
