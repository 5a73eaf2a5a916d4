// The digest of a file whose chunks arrive in any order, from any thread, without reading anything twice.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>

#include "bundle/digest.h"

namespace holdall::bundle {

// Thread-safe. A chunk that comes before its turn waits, held by the thread's hand-over, until the ones before it have
// been hashed by whichever thread brought them; no thread waits for another.
class OrderedHash {
 public:
  explicit OrderedHash(std::size_t chunks) : chunks_(chunks) {}

  // Takes chunk `index`; `release` is called once its bytes are no longer needed, perhaps much later and from another
  // thread. Returns the digest to the one call that completed it.
  std::optional<Digest> add(std::size_t index, std::span<const std::byte> bytes, std::function<void()> release);

 private:
  struct Waiting {
    std::span<const std::byte> bytes;
    std::function<void()> release;
  };
  const std::size_t chunks_;
  std::mutex mutex_;
  std::map<std::size_t, Waiting> waiting_;
  std::size_t next_ = 0;
  bool hashing_ = false;
  Sha256 hash_;
};

}  // namespace holdall::bundle
