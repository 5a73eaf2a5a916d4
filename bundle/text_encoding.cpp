#include "bundle/text_encoding.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "bundle/error.h"
#include "bundle/member_path.h"

namespace holdall::bundle {
namespace {

enum class ByteOrder { kLittle, kBig };

template <typename Unit>
std::string bytes_of(const std::basic_string<Unit>& units, ByteOrder order) {
  std::string result;
  result.reserve(units.size() * sizeof(Unit));
  for (const Unit unit : units) {
    const auto value = static_cast<std::uint32_t>(unit);
    for (std::size_t i = 0; i < sizeof(Unit); ++i) {
      const std::size_t byte = order == ByteOrder::kLittle ? i : sizeof(Unit) - 1 - i;
      result += static_cast<char>(value >> (8 * byte) & 0xff);
    }
  }
  return result;
}

}  // namespace

std::string_view name_of(TextEncoding encoding) {
  switch (encoding) {
    case TextEncoding::k8Bit:
      return "8bit";
    case TextEncoding::kUtf16Le:
      return "utf-16le";
    case TextEncoding::kUtf16Be:
      return "utf-16be";
    case TextEncoding::kUtf32Le:
      return "utf-32le";
    case TextEncoding::kUtf32Be:
      return "utf-32be";
  }
  return "";
}

std::string encode(std::string_view text, TextEncoding encoding) {
  if (encoding == TextEncoding::k8Bit) return std::string(text);
  if (!is_utf8(text))
    throw Error(ErrorKind::kUsage, "path '" + std::string(text) + "' is not UTF-8 and cannot be written as " +
                                       std::string(name_of(encoding)));
  // The standard library's conversion: native paths are UTF-8 here, and no locale is asked.
  const std::filesystem::path converter(text);
  switch (encoding) {
    case TextEncoding::kUtf16Le:
      return bytes_of(converter.u16string(), ByteOrder::kLittle);
    case TextEncoding::kUtf16Be:
      return bytes_of(converter.u16string(), ByteOrder::kBig);
    case TextEncoding::kUtf32Le:
      return bytes_of(converter.u32string(), ByteOrder::kLittle);
    default:
      return bytes_of(converter.u32string(), ByteOrder::kBig);
  }
}

std::size_t find_nul(std::string_view text, TextEncoding encoding) {
  const std::size_t unit = unit_size(encoding);
  if (unit == 1) return text.find('\0');
  for (std::size_t at = 0; at + unit <= text.size(); at += unit)
    if (text.substr(at, unit).find_first_not_of('\0') == text.npos) return at;
  return text.npos;
}

}  // namespace holdall::bundle
