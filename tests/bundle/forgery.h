// Archives that lie, and are otherwise in order.
#pragma once

#include <algorithm>
#include <functional>

#include "bundle/byte_order.h"
#include "bundle/frame.h"
#include "bundle/seek_table.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle::testing {

// `original` with other frames or another TOC, right in every checksum: what only a forger makes. `encode_as` may give
// another encoding of a content than `frame`.
inline Bytes forge(const Bytes& original, const std::function<void(std::vector<Bytes>&)>& change_frames,
                   const std::function<void(Toc&)>& change_toc,
                   const std::function<Bytes(std::span<const std::byte> content, const Bytes& frame)>& encode_as = {}) {
  const Reader reader = open_bytes(original);
  std::vector<Bytes> contents;
  std::vector<std::byte> scratch;
  for (const Frame& frame : reader.frames()) {
    contents.emplace_back(frame.content);
    reader.read_frame(frame, scratch, contents.back());
  }
  change_frames(contents);
  Bytes archive;
  std::vector<Frame> frames;
  std::vector<SeekEntry> table;
  FrameEncoder encoder(3);
  const auto encode = [&](std::span<const std::byte> content) {
    Bytes frame(FrameEncoder::bound(content.size()));
    frame.resize(encoder.encode(content, frame));
    return frame;
  };
  for (const Bytes& content : contents) {
    const Bytes frame = encode_as ? encode_as(content, encode(content)) : encode(content);
    frames.push_back({archive.size(), static_cast<std::uint32_t>(frame.size()),
                      static_cast<std::uint32_t>(content.size()), xxh64_low32(content)});
    table.push_back({frames.back().size, frames.back().content, frames.back().checksum});
    archive.insert(archive.end(), frame.begin(), frame.end());
  }
  Toc toc = reader.toc();
  for (Entry& entry : toc.entries) {
    for (Chunk& chunk : entry.chunks) {
      const auto old = std::ranges::lower_bound(reader.frames(), chunk.frame_offset, {}, &Frame::offset);
      const Frame& frame = frames[static_cast<std::size_t>(old - reader.frames().begin())];
      chunk.frame_offset = frame.offset;
      chunk.frame_size = frame.size;
    }
  }
  change_toc(toc);
  const std::string json = to_json(toc);
  const Bytes packed = encode(as_byte_span(json));
  const Footer footer{archive.size() + kSkippableHeader, packed.size(), json.size(), 0};
  append_skippable_header(archive, kSkippableMagic, static_cast<std::uint32_t>(packed.size()));
  archive.insert(archive.end(), packed.begin(), packed.end());
  table.push_back({static_cast<std::uint32_t>(packed.size() + kSkippableHeader), 0, kEmptyChecksum});
  append_footer(archive, footer);
  table.push_back({kFooterFrame, 0, kEmptyChecksum});
  write_seek_table(
      table, [&](std::span<const std::byte> piece) { archive.insert(archive.end(), piece.begin(), piece.end()); });
  return archive;
}

inline const auto kNoFrames = [](std::vector<Bytes>&) {};
inline const auto kNoToc = [](Toc&) {};

inline Entry& find(Toc& toc, std::string_view path) {
  return *std::ranges::find(toc.entries, path, &Entry::path);
}

}  // namespace holdall::bundle::testing
