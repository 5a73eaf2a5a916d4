#include "bundle/member_path.h"

#include <algorithm>
#include <cstdint>

#include "bundle/limits.h"

namespace holdall::bundle {

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const std::uint8_t lead = byte(i++);
    if (lead < 0x80) continue;
    std::uint8_t low = 0x80, high = 0xBF;
    int more = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
      more = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      more = 2;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      more = 3;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    for (; more > 0; --more, ++i) {
      if (i == text.size() || byte(i) < low || byte(i) > high) return false;
      low = 0x80;
      high = 0xBF;
    }
  }
  return true;
}

namespace {

std::string common_fault(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kMaxPathBytes) return "is longer than " + std::to_string(kMaxPathBytes) + " bytes";
  if (text.find('\0') != std::string_view::npos) return "has a NUL byte";
  if (text.front() == '/') return "is absolute";
  if (!is_utf8(text)) return "is not UTF-8";
  return {};
}

// Calls visit(component) until it returns a fault.
template <class Visit>
std::string each_component(std::string_view text, Visit visit) {
  std::size_t depth = 0;
  for (std::size_t start = 0; start <= text.size(); ++depth) {
    const std::size_t end = std::min(text.find('/', start), text.size());
    const std::string_view component = text.substr(start, end - start);
    if (component.size() > kMaxNameBytes) return "has a component of over " + std::to_string(kMaxNameBytes) + " bytes";
    if (depth == kMaxDepth) return "is deeper than " + std::to_string(kMaxDepth);
    if (std::string fault = visit(component); !fault.empty()) return fault;
    start = end + 1;
  }
  return {};
}

}  // namespace

std::string path_fault(std::string_view path) {
  if (std::string fault = common_fault(path); !fault.empty()) return fault;
  return each_component(path, [](std::string_view component) -> std::string {
    if (component.empty()) return "has an empty component";
    if (component == "." || component == "..") return "has a '" + std::string(component) + "' component";
    return {};
  });
}

std::string link_target_fault(std::string_view target) {
  if (std::string fault = common_fault(target); !fault.empty()) return fault;
  return each_component(target, [](std::string_view) { return std::string(); });
}

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace holdall::bundle
