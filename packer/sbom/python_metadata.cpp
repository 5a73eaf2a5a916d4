#include "packer/sbom/python_metadata.h"

#include <algorithm>
#include <cctype>

#include "packer/trimmed.h"

namespace holdall::packer {
namespace {

constexpr std::size_t kLongestLicence = 120;  // some packages put all of its text there
constexpr std::string_view kClassifier = "License :: ";

bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

// Of "numpy (>=1.2) ; python_version < '4'". Empty for what only an extra needs.
std::string needed_name(std::string_view requirement) {
  const std::string_view marker = requirement.substr(std::min(requirement.find(';'), requirement.size()));
  if (marker.find("extra") != marker.npos) return {};
  const auto end = std::ranges::find_if_not(requirement, is_name);
  return normalized_name(requirement.substr(0, static_cast<std::size_t>(end - requirement.begin())));
}

}  // namespace

std::string normalized_name(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const bool is_separator = c == '-' || c == '_' || c == '.';
    if (is_separator && result.ends_with('-')) continue;
    result += is_separator ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

PythonMetadata parse_python_metadata(std::string_view text) {
  PythonMetadata result;
  std::string licence;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (trimmed(line).empty()) break;                           // the description follows
    if (line.front() == ' ' || line.front() == '\t') continue;  // of a text whose first line is enough
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    const std::string_view key = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (key == "Name") result.name = value;
    if (key == "Version") result.version = value;
    if (key == "License-Expression") result.licence_expression = value;
    if (key == "License") licence = value.substr(0, kLongestLicence);
    if (key == "Classifier" && value.starts_with(kClassifier)) {
      const std::string_view name = value.substr(value.rfind(" :: ") + 4);
      if (name != "OSI Approved") result.licences.emplace(name);
    }
    if (key == "Requires-Dist")
      if (std::string name = needed_name(value); !name.empty()) result.needs.insert(std::move(name));
  }
  if (!result.licence_expression.empty()) result.licences.clear();
  if (result.licence_expression.empty() && result.licences.empty() && !licence.empty() && licence != "UNKNOWN")
    result.licences.insert(licence);
  return result;
}

}  // namespace holdall::packer
