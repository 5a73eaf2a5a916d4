#include "launcher/fetch/range_set.h"

#include <algorithm>
#include <vector>

namespace holdall::launcher {

void RangeSet::add(ByteRange range) {
  auto at = ranges_.upper_bound(range.begin);
  if (at != ranges_.begin() && std::prev(at)->second >= range.begin) --at;
  while (at != ranges_.end() && at->first <= range.end) {
    range = {std::min(range.begin, at->first), std::max(range.end, at->second)};
    at = ranges_.erase(at);
  }
  if (range.begin < range.end) ranges_[range.begin] = range.end;
}

void RangeSet::remove(const ByteRange& range) {
  if (range.begin >= range.end) return;
  std::vector<ByteRange> kept;
  for (auto at = ranges_.begin(); at != ranges_.end();) {
    if (at->second <= range.begin || at->first >= range.end) {
      ++at;
      continue;
    }
    if (at->first < range.begin) kept.push_back({at->first, range.begin});
    if (at->second > range.end) kept.push_back({range.end, at->second});
    at = ranges_.erase(at);
  }
  for (const ByteRange& part : kept) ranges_[part.begin] = part.end;
}

bool RangeSet::holds(const ByteRange& range) const {
  const auto at = ranges_.upper_bound(range.begin);
  return at != ranges_.begin() && std::prev(at)->second >= range.end;
}

std::optional<ByteRange> RangeSet::missing(ByteRange range) const {
  auto at = ranges_.upper_bound(range.begin);
  if (at != ranges_.begin() && std::prev(at)->second > range.begin) range.begin = std::prev(at)->second;
  if (range.begin >= range.end) return std::nullopt;
  if (at != ranges_.end()) range.end = std::min(range.end, at->first);
  return range;
}

}  // namespace holdall::launcher
