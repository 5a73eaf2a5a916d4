#include "launcher/doctor/version.h"

#include <algorithm>

namespace holdall::launcher {

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  std::uint32_t number = 0;
  int digits = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] >= '0' && text[i] <= '9') {
      if (++digits > 9) return std::nullopt;
      number = number * 10 + static_cast<std::uint32_t>(text[i] - '0');
      continue;
    }
    if (digits == 0 || (i < text.size() && text[i] != '.') || version.parts.size() == 6) return std::nullopt;
    version.parts.push_back(number);
    number = 0;
    digits = 0;
  }
  return version;
}

std::optional<std::string> find_version(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  for (std::size_t at = 0; (at = text.find_first_not_of(kSpace, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSpace, at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (const auto version = parse_version(word); version && version->parts.size() >= 2) return std::string(word);
    at = end;
  }
  return std::nullopt;
}

int compare(const Version& left, const Version& right) {
  for (std::size_t i = 0; i < std::max(left.parts.size(), right.parts.size()); ++i) {
    const std::uint32_t a = i < left.parts.size() ? left.parts[i] : 0;
    const std::uint32_t b = i < right.parts.size() ? right.parts[i] : 0;
    if (a != b) return a < b ? -1 : 1;
  }
  return 0;
}

bool version_less(std::string_view left, std::string_view right) {
  return parse_version(left).value_or(Version{}) < parse_version(right).value_or(Version{});
}

}  // namespace holdall::launcher
