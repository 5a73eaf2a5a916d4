// In which order threads take the chunks of a bundle's files.
#pragma once

#include <cstddef>
#include <vector>

#include "bundle/toc.h"

namespace holdall::bundle {

struct ChunkTask {
  std::size_t entry = 0;  // index in Toc::entries
  std::size_t chunk = 0;  // index in its chunks
};

// Every chunk of every regular file once, the chunks of a file ascending. A file's digest is one chain of hashing that
// one thread at a time can extend, so that with many threads several files are in work at once: `lanes` of them, filled
// so that they end together. One lane is the archive's own order.
std::vector<ChunkTask> chunk_order(const Toc& toc, std::size_t lanes);

}  // namespace holdall::bundle
