#include "bundle/chunk_order.h"

#include <algorithm>
#include <numeric>

namespace holdall::bundle {

ChunkOrder::ChunkOrder(const Toc& toc, std::size_t threads) : lanes_(std::max<std::size_t>(1, threads)) {
  std::vector<std::size_t> entries(toc.entries.size());
  std::iota(entries.begin(), entries.end(), std::size_t{0});
  if (lanes_.size() > 1)
    std::ranges::stable_sort(entries, std::greater{}, [&](std::size_t i) { return toc.entries[i].size; });
  for (const std::size_t entry : entries) {
    Lane& lane = *std::ranges::min_element(lanes_, {}, &Lane::bytes);
    lane.bytes += toc.entries[entry].size;
    for (std::size_t chunk = 0; chunk < toc.entries[entry].chunks.size(); ++chunk) lane.tasks.push_back({entry, chunk});
  }
}

std::optional<ChunkTask> ChunkOrder::next(std::size_t thread) {
  const std::lock_guard lock(mutex_);
  const auto left = [](const Lane& lane) { return lane.tasks.size() - lane.taken; };
  Lane* lane = &lanes_[thread % lanes_.size()];
  if (left(*lane) == 0) lane = &*std::ranges::max_element(lanes_, {}, left);  // helps with the longest
  if (left(*lane) == 0) return std::nullopt;
  return lane->tasks[lane->taken++];
}

}  // namespace holdall::bundle
