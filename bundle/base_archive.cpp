#include "bundle/base_archive.h"

#include <algorithm>
#include <cstring>

#include "bundle/error.h"

namespace holdall::bundle {

BaseArchive::BaseArchive(std::shared_ptr<const RandomAccess> archive) : archive_(std::move(archive)) {
  const Reader reader = Reader::open(archive_);
  const auto& build = reader.info().build;
  if (const auto found = build.find(kFrameEncodingKey); found != build.end()) encoding_ = found->second;
  for (const Entry& entry : reader.toc().entries) {
    for (const Chunk& chunk : entry.chunks) {
      // No encoder makes larger ones.
      if (chunk.frame_size > FrameEncoder::bound(static_cast<std::size_t>(chunk.size))) continue;
      places_.push_back({chunk.digest, chunk.frame_offset, static_cast<std::uint32_t>(chunk.frame_size),
                         static_cast<std::uint32_t>(chunk.size)});
    }
  }
  places_.shrink_to_fit();
  std::ranges::stable_sort(places_, {}, &Place::digest);
}

const BaseArchive::Place* BaseArchive::find(const Digest& digest, std::size_t content) const {
  const auto found = std::ranges::lower_bound(places_, digest, {}, &Place::digest);
  return found != places_.end() && found->digest == digest && found->content == content ? &*found : nullptr;
}

BaseArchive::Copier::Result BaseArchive::Copier::copy(const Digest& digest, std::span<const std::byte> content) {
  const Place* const place = base_.find(digest, content.size());
  if (place == nullptr) return {};
  Result result{.finding = Finding::kBroken};
  FrameBytes frame{std::make_unique_for_overwrite<std::byte[]>(place->size), place->size};
  const std::span<std::byte> bytes(frame.bytes.get(), frame.size);
  try {
    base_.archive_->read_at(place->offset, bytes);
  } catch (const Error&) {
    return result;  // the content is at hand: whatever the matter is, it can be compressed
  }
  if (decoded_.size() < content.size()) decoded_.resize(content.size());
  const std::span<std::byte> decoded = std::span(decoded_).first(content.size());
  if (decoder_.decode(bytes, decoded) != nullptr || std::memcmp(decoded.data(), content.data(), content.size()) != 0)
    return result;
  return {.finding = Finding::kCopied, .frame = std::move(frame)};
}

}  // namespace holdall::bundle
