// Versions as drivers, toolkits and libraries have them: numbers between dots, compared component by component.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::launcher {

struct Version {
  std::vector<std::uint32_t> parts;
};

// "580.65.06" → 580, 65, 6. nullopt unless it is one to six numbers of at most nine digits.
std::optional<Version> parse_version(std::string_view text);

// The first word of at least two components in a text, e.g. in /proc/driver/nvidia/version.
std::optional<std::string> find_version(std::string_view text);

// Missing components count as zero: 12 = 12.0.
int compare(const Version& left, const Version& right);
inline bool operator<(const Version& left, const Version& right) {
  return compare(left, right) < 0;
}

// Both sides as text; a side that is no version is the smallest.
bool version_less(std::string_view left, std::string_view right);

}  // namespace holdall::launcher
