// How a path is written in a file: as the bytes that the file system has, or in a wide encoding.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace holdall::bundle {

enum class TextEncoding {
  k8Bit,  // any encoding in which the path is its own bytes
  kUtf16Le,
  kUtf16Be,
  kUtf32Le,
  kUtf32Be,
};

inline constexpr std::array kTextEncodings{TextEncoding::k8Bit, TextEncoding::kUtf16Le, TextEncoding::kUtf16Be,
                                           TextEncoding::kUtf32Le, TextEncoding::kUtf32Be};

// Bytes of one code unit; a NUL is a unit of zeros.
constexpr std::size_t unit_size(TextEncoding encoding) {
  switch (encoding) {
    case TextEncoding::k8Bit:
      return 1;
    case TextEncoding::kUtf16Le:
    case TextEncoding::kUtf16Be:
      return 2;
    case TextEncoding::kUtf32Le:
    case TextEncoding::kUtf32Be:
      return 4;
  }
  return 1;
}

// "8bit", "utf-16le", "utf-16be", "utf-32le", "utf-32be".
std::string_view name_of(TextEncoding encoding);

// The bytes of `text` in `encoding`. Throws Error{kUsage} if a wide one is asked for and `text` is not UTF-8.
std::string encode(std::string_view text, TextEncoding encoding);

// Where the first NUL unit of `text` stands, counted in bytes; units are counted from its start. npos: none.
std::size_t find_nul(std::string_view text, TextEncoding encoding);

}  // namespace holdall::bundle
