#include "bundle/entry_store.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace holdall::bundle {

namespace {

constexpr std::size_t kBlockBytes = std::size_t{256} << 10;
constexpr std::size_t kMaxLayers = 255;
constexpr std::size_t kLongest = 0xffff;

// Without any of the things that few files have.
bool is_plain(const Entry& entry) {
  if (!entry.relocations.empty() || entry.elf || entry.vendor || !entry.kernels.empty()) return false;
  if (entry.path.size() > kLongest || entry.link_target.size() > kLongest || entry.chunks.size() > 1) return false;
  if (entry.chunks.empty()) return true;
  const Chunk& chunk = entry.chunks.front();
  return chunk.offset == 0 && chunk.size == entry.size && chunk.digest == entry.digest &&
         chunk.frame_size <= UINT32_MAX;
}

}  // namespace

// Behind it lie `rest` bytes of the path and `target` of the link's target.
struct EntryStore::Record {
  std::uint64_t size = 0, frame_offset = 0;
  Digest digest{};
  std::uint32_t frame_size = 0;  // 0: no chunk
  std::uint16_t shared = 0;      // bytes that the path has in common with the one before
  std::uint16_t rest = 0, target = 0;
  std::uint8_t layer = 0;
  EntryType type : 4 = EntryType::kRegular;
  bool executable : 1 = false, zeros : 1 = false;
  bool whole : 1 = false;  // the next of whole_; nothing else counts
};

void EntryStore::add(Entry entry) {
  auto layer = std::ranges::find(layers_, entry.layer);
  if (layer == layers_.end() && layers_.size() < kMaxLayers) layer = layers_.insert(layer, entry.layer);
  Record record;
  std::string_view rest, target;
  if (is_plain(entry) && layer != layers_.end()) {
    const auto end = std::ranges::mismatch(last_path_, entry.path).in1;
    record.shared = static_cast<std::uint16_t>(end - last_path_.begin());
    rest = std::string_view(entry.path).substr(record.shared);
    target = entry.link_target;
    record.size = entry.size;
    record.digest = entry.digest;
    record.rest = static_cast<std::uint16_t>(rest.size());
    record.target = static_cast<std::uint16_t>(target.size());
    record.layer = static_cast<std::uint8_t>(layer - layers_.begin());
    record.type = entry.type;
    record.executable = entry.executable;
    if (!entry.chunks.empty()) {
      record.frame_offset = entry.chunks.front().frame_offset;
      record.frame_size = static_cast<std::uint32_t>(entry.chunks.front().frame_size);
      record.zeros = entry.chunks.front().zeros;
    }
  } else {
    record.whole = true;
  }
  const std::size_t bytes = sizeof record + rest.size() + target.size();
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < bytes)
    blocks_.emplace_back().reserve(std::max(kBlockBytes, bytes));
  std::string& block = blocks_.back();
  block.append(reinterpret_cast<const char*>(&record), sizeof record);
  block.append(rest).append(target);
  ++size_;
  if (record.whole) {
    whole_.push_back(std::move(entry));
  } else {
    last_path_ = std::move(entry.path);
  }
}

const Entry* EntryStore::Cursor::next() {
  if (block_ < store_.blocks_.size() && at_ == store_.blocks_[block_].size()) {
    ++block_;
    at_ = 0;
  }
  if (block_ == store_.blocks_.size()) return nullptr;
  const std::string_view block = store_.blocks_[block_];
  Record record;
  std::memcpy(&record, block.data() + at_, sizeof record);
  at_ += sizeof record;
  if (record.whole) return &store_.whole_[whole_++];
  entry_.path.resize(record.shared);
  entry_.path += block.substr(at_, record.rest);
  at_ += record.rest;
  entry_.link_target = block.substr(at_, record.target);
  at_ += record.target;
  entry_.type = record.type;
  entry_.executable = record.executable;
  entry_.size = record.size;
  entry_.digest = record.digest;
  entry_.layer = store_.layers_[record.layer];
  entry_.chunks.clear();
  if (record.frame_size != 0) {
    entry_.chunks.push_back({.frame_offset = record.frame_offset,
                             .frame_size = record.frame_size,
                             .size = record.size,
                             .digest = record.digest,
                             .zeros = record.zeros});
  }
  return &entry_;
}

void EntryStore::for_each(const EntryVisitor& visit) const {
  Cursor cursor(*this);
  while (const Entry* const entry = cursor.next()) visit(*entry);
}

}  // namespace holdall::bundle
