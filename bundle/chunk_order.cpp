#include "bundle/chunk_order.h"

#include <algorithm>
#include <numeric>

namespace holdall::bundle {
namespace {

struct Lane {
  std::uint64_t bytes = 0;
  std::vector<ChunkTask> tasks;
};

void append(Lane& lane, const Toc& toc, std::size_t entry) {
  lane.bytes += toc.entries[entry].size;
  for (std::size_t chunk = 0; chunk < toc.entries[entry].chunks.size(); ++chunk) lane.tasks.push_back({entry, chunk});
}

}  // namespace

std::vector<ChunkTask> chunk_order(const Toc& toc, std::size_t lane_count) {
  std::vector<std::size_t> entries(toc.entries.size());
  std::iota(entries.begin(), entries.end(), std::size_t{0});
  std::vector<Lane> lanes(std::max<std::size_t>(1, lane_count));
  if (lanes.size() > 1)
    std::stable_sort(entries.begin(), entries.end(),
                     [&](std::size_t a, std::size_t b) { return toc.entries[a].size > toc.entries[b].size; });
  for (const std::size_t entry : entries)
    append(
        *std::min_element(lanes.begin(), lanes.end(), [](const Lane& a, const Lane& b) { return a.bytes < b.bytes; }),
        toc, entry);

  std::vector<ChunkTask> order;
  std::size_t longest = 0;
  for (const Lane& lane : lanes) longest = std::max(longest, lane.tasks.size());
  for (std::size_t step = 0; step < longest; ++step)
    for (const Lane& lane : lanes)
      if (step < lane.tasks.size()) order.push_back(lane.tasks[step]);
  return order;
}

}  // namespace holdall::bundle
