// In which order threads take the chunks of a bundle's files.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "bundle/toc.h"

namespace holdall::bundle {

struct ChunkTask {
  std::size_t entry = 0;  // index in Toc::entries
  std::size_t chunk = 0;  // index in its chunks
};

// Hands out every chunk of every regular file once, the chunks of a file ascending. Each thread gets files of its own
// as long as it can: the digest of a file is one chain that one thread at a time can extend, and the kernel lets one
// thread at a time write to a file. One thread gets the archive's own order. Thread-safe.
class ChunkOrder {
 public:
  ChunkOrder(const Toc& toc, std::size_t threads);

  // The next chunk for thread `thread` (from 0), or nothing when all are taken.
  std::optional<ChunkTask> next(std::size_t thread);

 private:
  // Files that one thread unpacks, in the order of `tasks`; filled so that all lanes end together.
  struct Lane {
    std::uint64_t bytes = 0;  // of the files
    std::vector<ChunkTask> tasks;
    std::size_t taken = 0;
  };
  std::mutex mutex_;
  std::vector<Lane> lanes_;
};

}  // namespace holdall::bundle
