#include "bundle/seek_table.h"

#include <cstring>
#include <string>
#include <string_view>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "bundle/limits.h"

namespace holdall::bundle {

namespace {

constexpr std::size_t kPiece = 64 * 1024;             // bytes that are written at a time
constexpr std::uint32_t kSeekableMagic = 0x8F92EAB1;  // the archive's last four bytes
constexpr std::uint8_t kChecksumsPresent = 0x80;
constexpr std::string_view kFooterMagic = "GNUlInUx";
constexpr std::uint64_t kTocType = 1;

[[noreturn]] void bad(const std::string& reason) {
  throw Error(ErrorKind::kBadBundle, "bad seek table: " + reason);
}
[[noreturn]] void bad_footer(const std::string& reason) {
  throw Error(ErrorKind::kBadBundle, "bad footer: " + reason);
}

}  // namespace

void append_skippable_header(std::vector<std::byte>& out, std::uint32_t magic, std::uint32_t length) {
  append_le(out, magic);
  append_le(out, length);
}

void append_footer(std::vector<std::byte>& out, const Footer& footer) {
  append_skippable_header(out, kSkippableMagic, kFooterFrame - kSkippableHeader);
  for (const std::uint64_t field : {footer.toc_offset, footer.toc_size, footer.toc_uncompressed_size, kTocType,
                                    std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{0}}) {
    append_le(out, field);
  }
  const auto magic = as_byte_span(kFooterMagic);
  out.insert(out.end(), magic.begin(), magic.end());
}

void write_seek_table(std::span<const SeekEntry> entries,
                      const std::function<void(std::span<const std::byte>)>& write) {
  if (entries.size() > kMaxFrames) {
    throw Error(ErrorKind::kCannotPack, "cannot pack: more than " + std::to_string(kMaxFrames) + " frames");
  }
  const std::size_t content = entries.size() * kSeekEntryBytes + kSeekTableTail;
  std::vector<std::byte> out;
  append_skippable_header(out, kSeekTableMagic, static_cast<std::uint32_t>(content));
  for (const SeekEntry& entry : entries) {
    if (out.size() >= kPiece) {
      write(out);
      out.clear();
    }
    append_le(out, entry.compressed);
    append_le(out, entry.content);
    append_le(out, entry.checksum);
  }
  append_le(out, static_cast<std::uint32_t>(entries.size()));
  append_le(out, kChecksumsPresent);
  append_le(out, kSeekableMagic);
  write(out);
}

std::uint64_t seek_table_frame_size(std::span<const std::byte> tail, std::uint64_t archive_bytes) {
  if (tail.size() < kSeekTableTail) bad("the archive is too short");
  const auto end = tail.last(kSeekTableTail);
  if (load_le<std::uint32_t>(end, 5) != kSeekableMagic) {
    bad("the archive does not end with its magic: it is truncated or not a bundle");
  }
  if (load_le<std::uint8_t>(end, 4) != kChecksumsPresent) bad("its descriptor is not 0x80");
  const auto frames = load_le<std::uint32_t>(end, 0);
  if (frames < 4 || frames > kMaxFrames)
    bad(std::to_string(frames) + " frames: expected 4 to " + std::to_string(kMaxFrames));
  const std::uint64_t size = kSkippableHeader + std::uint64_t{frames} * kSeekEntryBytes + kSeekTableTail;
  if (size + kFooterFrame > archive_bytes) bad("it is larger than the archive");
  return size;
}

Footer parse_footer(std::span<const std::byte> frame, std::uint64_t frame_offset) {
  if (frame.size() != kFooterFrame) bad_footer("it is truncated");
  if (load_le<std::uint32_t>(frame, 0) != kSkippableMagic ||
      load_le<std::uint32_t>(frame, 4) != kFooterFrame - kSkippableHeader ||
      std::memcmp(frame.data() + 64, kFooterMagic.data(), kFooterMagic.size()) != 0) {
    bad_footer("not a zstd:chunked footer");
  }
  const auto field = [&](std::size_t index) { return load_le<std::uint64_t>(frame, kSkippableHeader + 8 * index); };
  Footer footer;
  footer.toc_offset = field(0);
  footer.toc_size = field(1);
  footer.toc_uncompressed_size = field(2);
  if (field(3) != kTocType) bad_footer("TOC type " + std::to_string(field(3)) + ": expected 1");
  if (field(4) != 0 || field(5) != 0 || field(6) != 0) bad_footer("it names a tar-split, which format 1 does not have");
  if (footer.toc_offset < kSkippableHeader || footer.toc_offset > frame_offset || footer.toc_size == 0 ||
      footer.toc_size != frame_offset - footer.toc_offset || footer.toc_size > kMaxTocBytes) {
    bad_footer("the TOC does not lie before it");
  }
  if (footer.toc_uncompressed_size == 0 || footer.toc_uncompressed_size > kMaxTocBytes) {
    bad_footer("a TOC of " + std::to_string(footer.toc_uncompressed_size) + " bytes: expected 1 to " +
               std::to_string(kMaxTocBytes));
  }
  return footer;
}

std::vector<SeekEntry> parse_seek_table(std::span<const std::byte> frame, const Footer& footer,
                                        std::uint64_t archive_bytes) {
  const std::uint64_t size = seek_table_frame_size(frame, archive_bytes);
  if (size != frame.size() || load_le<std::uint32_t>(frame, 0) != kSeekTableMagic ||
      load_le<std::uint32_t>(frame, 4) != frame.size() - kSkippableHeader) {
    bad("its frame header does not match");
  }
  std::vector<SeekEntry> entries((frame.size() - kSkippableHeader - kSeekTableTail) / kSeekEntryBytes);
  std::uint64_t sum = size;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::size_t at = kSkippableHeader + i * kSeekEntryBytes;
    SeekEntry& entry = entries[i];
    entry = {load_le<std::uint32_t>(frame, at), load_le<std::uint32_t>(frame, at + 4),
             load_le<std::uint32_t>(frame, at + 8)};
    const bool data = i + 2 < entries.size();
    if (data ? entry.content == 0 || entry.content > kMaxFrameContent
             : entry.content != 0 || entry.checksum != kEmptyChecksum) {
      bad("frame " + std::to_string(i) + " has " + std::to_string(entry.content) + " bytes of content");
    }
    if (entry.compressed == 0) bad("frame " + std::to_string(i) + " is empty");
    sum += entry.compressed;  // at most 4e6 * 2^32: cannot overflow
  }
  if (sum != archive_bytes) {
    bad("its frames sum up to " + std::to_string(sum) + " bytes, the archive has " + std::to_string(archive_bytes));
  }
  if (entries.back().compressed != kFooterFrame ||
      entries[entries.size() - 2].compressed != kSkippableHeader + footer.toc_size) {
    bad("the last two frames are not TOC and footer");
  }
  return entries;
}

}  // namespace holdall::bundle
