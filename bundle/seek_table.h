// The end of an archive: the zstd:chunked footer frame and zstd's seek table. Byte layouts: FORMAT.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bundle/reader.h"

namespace holdall::bundle {

inline constexpr std::uint32_t kSkippableMagic = 0x184D2A50;  // of TOC and footer
inline constexpr std::uint32_t kSeekTableMagic = 0x184D2A5E;  // of the seek table's frame
inline constexpr std::size_t kSkippableHeader = 8;            // magic, length
inline constexpr std::size_t kFooterFrame = kSkippableHeader + 64;
inline constexpr std::size_t kSeekEntryBytes = 12;
inline constexpr std::size_t kSeekTableTail = 9;             // number of frames, descriptor, magic
inline constexpr std::uint32_t kEmptyChecksum = 0x51D8E999;  // XXH64 of nothing: what frames without content have

struct SeekEntry {
  std::uint32_t compressed = 0, content = 0;  // bytes
  std::uint32_t checksum = 0;                 // xxh64_low32 of the content
};

// A skippable frame's header.
void append_skippable_header(std::vector<std::byte>& out, std::uint32_t magic, std::uint32_t length);

// The footer frame and, behind it, the seek table frame: the latter in pieces, as it may have tens of megabytes.
void append_footer(std::vector<std::byte>& out, const Footer& footer);
void write_seek_table(std::span<const SeekEntry> entries, const std::function<void(std::span<const std::byte>)>& write);

// How many bytes the seek table frame of an archive has, from the archive's last nine. Throws Error{kBadBundle}.
std::uint64_t seek_table_frame_size(std::span<const std::byte> tail, std::uint64_t archive_bytes);

// `frame` is the footer frame, which starts at `frame_offset`. Checks that the TOC's frame ends where it starts.
Footer parse_footer(std::span<const std::byte> frame, std::uint64_t frame_offset);

// `frame` is the whole seek table frame. Checks every entry's form, and that all frames together with this one make up
// the archive, the last two being TOC and footer.
std::vector<SeekEntry> parse_seek_table(std::span<const std::byte> frame, const Footer& footer,
                                        std::uint64_t archive_bytes);

}  // namespace holdall::bundle
