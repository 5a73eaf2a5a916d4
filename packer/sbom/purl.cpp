#include "packer/sbom/purl.h"

#include <algorithm>
#include <cctype>

namespace holdall::packer {
namespace {

// purl-spec, "Character encoding": everything but letters, digits, ".-_~" and the colon.
std::string encoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view(".-_~:").find(c) != std::string_view::npos) {
      result += c;
    } else {
      result += '%';
      result += kDigits[byte >> 4];
      result += kDigits[byte & 15];
    }
  }
  return result;
}

}  // namespace

std::string to_string(const Purl& purl) {
  std::string text = "pkg:" + purl.type + "/";
  if (!purl.space.empty()) text += encoded(purl.space) + "/";
  text += encoded(purl.name);
  if (!purl.version.empty()) text += "@" + encoded(purl.version);
  char separator = '?';
  for (const auto& [key, value] : purl.qualifiers) {
    if (value.empty()) continue;
    text += separator + key + "=" + encoded(value);
    separator = '&';
  }
  return text;
}

std::string pypi_name(std::string_view name) {
  std::string result(name);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return result;
}

}  // namespace holdall::packer
