#include "packer/faults.h"

#include <algorithm>

namespace holdall::packer {

namespace {
constexpr std::size_t kMaxReported = 100;
constexpr std::size_t kMaxListed = 4, kListedOfMany = 3;
}  // namespace

void Faults::report(bundle::ErrorKind kind, const std::string& headline) const {
  if (lines_.empty()) return;
  std::string message = headline;
  const auto add_line = [&](const std::string& line) {
    message += (headline.empty() ? message.empty() ? "" : "\n" : "\n  ") + line;
  };
  for (std::size_t i = 0; i < std::min(lines_.size(), kMaxReported); ++i) add_line(lines_[i]);
  if (lines_.size() > kMaxReported) add_line("and " + std::to_string(lines_.size() - kMaxReported) + " more");
  throw bundle::Error(kind, message);
}

std::vector<std::string> shortened(std::vector<std::string> items) {
  if (items.size() <= kMaxListed) return items;
  const std::size_t others = items.size() - kListedOfMany;
  items.resize(kListedOfMany);
  items.push_back("+ " + std::to_string(others) + " others");
  return items;
}

}  // namespace holdall::packer
