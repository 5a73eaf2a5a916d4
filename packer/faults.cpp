#include "packer/faults.h"

#include <algorithm>

namespace holdall::packer {

namespace {
constexpr std::size_t kMaxReported = 100;
constexpr std::size_t kMaxListed = 4, kListedOfMany = 3;
}  // namespace

void Faults::report(bundle::ErrorKind kind) const {
  if (lines_.empty()) return;
  std::string message = lines_.front();
  for (std::size_t i = 1; i < std::min(lines_.size(), kMaxReported); ++i) message += "\n" + lines_[i];
  if (lines_.size() > kMaxReported) message += "\nand " + std::to_string(lines_.size() - kMaxReported) + " more";
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
