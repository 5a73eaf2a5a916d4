#include "bundle/base_archive.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "bundle/byte_order.h"
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

std::optional<BaseArchive::Range> BaseArchive::frame_of(const Digest& digest, std::size_t content) const {
  const Place* const place = find(digest, content);
  return place == nullptr ? std::nullopt : std::optional(Range{place->offset, place->size});
}

std::uint32_t BaseArchive::checksum_at(const Range& frame) const {
  std::array<std::byte, kFrameChecksumBytes> end{};
  archive_->read_at(frame.offset + frame.size - end.size(), end);
  return load_le<std::uint32_t>(end, 0);
}

std::optional<FrameBytes> BaseArchive::read(const Place& place) const {
  FrameBytes frame{std::make_unique_for_overwrite<std::byte[]>(place.size), place.size};
  try {
    archive_->read_at(place.offset, frame.span());
  } catch (const Error&) {
    return std::nullopt;  // the content is at hand: whatever the matter is, it can be compressed
  }
  return frame;
}

BaseArchive::Copier::Result BaseArchive::Copier::copy(const Digest& digest, std::span<const std::byte> content) {
  const Place* const place = base_.find(digest, content.size());
  if (place == nullptr) return {};
  std::optional<FrameBytes> frame = base_.read(*place);
  if (decoded_.size() < content.size()) decoded_.resize(content.size());
  const std::span<std::byte> decoded = std::span(decoded_).first(content.size());
  if (!frame || decoder_.decode(frame->span(), decoded) != nullptr ||
      std::memcmp(decoded.data(), content.data(), content.size()) != 0)
    return {.finding = Finding::kBroken};
  return {.finding = Finding::kCopied, .frame = std::move(*frame)};
}

BaseArchive::Copier::Result BaseArchive::Copier::copy_known(const Digest& digest, std::size_t size,
                                                            const Digest& frame) const {
  const Place* const place = base_.find(digest, size);
  if (place == nullptr) return {};
  std::optional<FrameBytes> found = base_.read(*place);
  if (!found || sha256(found->span()) != frame) return {.finding = Finding::kBroken};
  return {.finding = Finding::kCopied, .frame = std::move(*found)};
}

}  // namespace holdall::bundle
