#include "bundle/ordered_hash.h"

#include <utility>

namespace holdall::bundle {

std::optional<Digest> OrderedHash::add(std::size_t index, std::span<const std::byte> bytes,
                                       std::function<void()> release) {
  std::unique_lock lock(mutex_);
  waiting_.emplace(index, Waiting{bytes, std::move(release)});
  if (hashing_) return std::nullopt;  // the thread that hashes takes it along
  hashing_ = true;
  for (auto found = waiting_.find(next_); found != waiting_.end(); found = waiting_.find(next_)) {
    const Waiting chunk = std::move(found->second);
    waiting_.erase(found);
    lock.unlock();
    hash_.update(chunk.bytes);
    chunk.release();
    lock.lock();
    ++next_;
  }
  hashing_ = false;
  if (next_ != chunks_) return std::nullopt;
  return hash_.finish();
}

}  // namespace holdall::bundle
