#include "packer/relocation/spliced_file.h"

#include <algorithm>
#include <cstring>

namespace holdall::packer {

std::uint64_t spliced_size(std::uint64_t size, const std::vector<Splice>& splices) {
  for (const Splice& splice : splices) size += splice.inserted.size() - splice.removed;
  return size;
}

std::uint64_t original_size(std::uint64_t size, const std::vector<Splice>& splices) {
  for (const Splice& splice : splices) size -= splice.inserted.size() - splice.removed;
  return size;
}

SplicedFile::SplicedFile(std::shared_ptr<const ReadableFile> original, std::vector<Splice> splices)
    : original_(std::move(original)), splices_(std::move(splices)), size_(spliced_size(original_->size(), splices_)) {
  std::uint64_t grown = 0;  // modulo 2^64: it may shrink
  for (const Splice& splice : splices_) {
    places_.push_back(splice.offset + grown);
    grown += splice.inserted.size() - splice.removed;
  }
}

std::size_t SplicedFile::read_some(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  // The first splice whose bytes, or what follows them, lie at `offset`.
  auto index = static_cast<std::size_t>(std::ranges::upper_bound(places_, offset) - places_.begin());
  if (index > 0) --index;
  while (done < out.size() && offset + done < size_) {
    const std::uint64_t at = offset + done;
    std::uint64_t source = at;  // in the original, if `at` lies before the first splice
    if (index < splices_.size() && at >= places_[index]) {
      const Splice& splice = splices_[index];
      const std::uint64_t inside = at - places_[index];
      if (inside < splice.inserted.size()) {
        const std::size_t count = std::min<std::size_t>(out.size() - done, splice.inserted.size() - inside);
        std::memcpy(out.data() + done, splice.inserted.data() + inside, count);
        done += count;
        continue;
      }
      source = splice.offset + splice.removed + (inside - splice.inserted.size());
      if (index + 1 < splices_.size() && at >= places_[index + 1]) {
        ++index;
        continue;
      }
    }
    const std::size_t next = index < splices_.size() && at < places_[index] ? index : index + 1;
    const std::uint64_t end = next < splices_.size() ? places_[next] : size_;
    const auto window =
        out.subspan(done, static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - done, end - at)));
    const std::size_t count = original_->read_some(source, window);
    done += count;
    if (count < window.size()) break;  // the original became shorter
  }
  return done;
}

std::size_t MemoryFile::read_some(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= contents_.size()) return 0;
  const std::size_t count = std::min<std::size_t>(out.size(), contents_.size() - static_cast<std::size_t>(offset));
  std::memcpy(out.data(), contents_.data() + offset, count);
  return count;
}

}  // namespace holdall::packer
