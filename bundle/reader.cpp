#include "bundle/reader.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "bundle/frame.h"
#include "bundle/limits.h"
#include "bundle/pack_toc.h"
#include "bundle/seek_table.h"
#include "bundle/tar_header.h"

namespace holdall::bundle {

namespace {

constexpr std::size_t kFrameChecksum = 4;  // bytes at the end of a zstd frame (RFC 8878, 3.1.1)

[[noreturn]] void bad(const std::string& reason) {
  throw Error(ErrorKind::kBadBundle, reason);
}

// Takes the frame at the start of `head` off it and returns its content.
std::vector<std::byte> take_frame(std::span<const std::byte>& head, std::size_t max_content) {
  const std::optional<std::size_t> size = frame_content_size(head);
  if (!size) bad("not a bundle: it does not start with a data frame of format 1");
  if (*size > max_content) bad("not a bundle: its first frame is too large");
  const std::size_t frame = ZSTD_findFrameCompressedSize(head.data(), head.size());
  if (ZSTD_isError(frame))
    bad("bad bundle: bundle.json does not end within the first 64 KiB: it is truncated or damaged");
  std::vector<std::byte> content(*size);
  FrameDecoder decoder;
  if (const char* fault = decoder.decode(head.first(frame), content))
    bad(std::string("bad bundle: first frame: ") + fault);
  head = head.subspan(frame);
  return content;
}

struct FirstMember {
  std::string path;
  BundleInfo info;
};

FirstMember read_first_member(std::span<const std::byte> head) {
  const std::vector<std::byte> blocks = take_frame(head, kMaxInfoBytes);
  std::size_t at = 0;
  const std::optional<TarHeader> header = read_tar_header([&](std::span<std::byte> block) {
    if (blocks.size() - at < block.size()) bad("bad bundle: its first tar header is truncated");
    std::memcpy(block.data(), blocks.data() + at, block.size());
    at += block.size();
  });
  constexpr std::string_view kName = "holdall/bundle.json";
  if (!header || header->type != EntryType::kRegular ||
      !(header->path == kName || header->path.ends_with("/" + std::string(kName)))) {
    bad("not a bundle: its first member is not holdall/bundle.json");
  }
  if (at != blocks.size()) bad("bad bundle: its first frame does not end with the tar header");
  if (header->size == 0 || header->size > kMaxInfoBytes) {
    bad("bad bundle: bundle.json has " + std::to_string(header->size) + " bytes: at most " +
        std::to_string(kMaxInfoBytes) + " are allowed");
  }
  const std::vector<std::byte> json = take_frame(head, kMaxInfoBytes);
  if (json.size() != header->size) bad("bad bundle: bundle.json and its tar header differ in size");
  return {header->path, parse_bundle_info({reinterpret_cast<const char*>(json.data()), json.size()})};
}

}  // namespace

BundleInfo read_bundle_info(std::span<const std::byte> head) {
  return read_first_member(head).info;
}

struct Reader::State {
  std::shared_ptr<const RandomAccess> archive;
  std::uint64_t archive_bytes = 0;
  FirstMember first;
  Footer footer;
  std::vector<std::byte> tail;  // the archive's last 64 KiB, until load() is done with them

  std::once_flag hashed, loaded;
  Digest toc_digest{};
  Toc toc;
  std::vector<Frame> frames;

  std::mutex decoders_mutex;
  std::vector<FrameDecoder> decoders;  // those not in use

  void read(std::uint64_t offset, std::span<std::byte> out) const;
  std::vector<std::byte> read_toc() const;
  void take_digest(std::span<const std::byte> packed_toc);
  void load();
  void check_chunks() const;
  void decode(const Frame& frame, std::vector<std::byte>& scratch, std::span<std::byte> out);
};

// From `tail` where it lies there.
void Reader::State::read(std::uint64_t offset, std::span<std::byte> out) const {
  const std::uint64_t tail_offset = archive_bytes - tail.size();
  if (offset >= tail_offset && out.size() <= tail.size() - (offset - tail_offset)) {
    std::memcpy(out.data(), tail.data() + (offset - tail_offset), out.size());
  } else {
    archive->read_at(offset, out);
  }
}

std::vector<std::byte> Reader::State::read_toc() const {
  std::vector<std::byte> bytes(static_cast<std::size_t>(footer.toc_size));
  archive->read_at(footer.toc_offset, bytes);
  return bytes;
}

// The first ones read are the archive's; whoever has asked for their digest gets no others.
void Reader::State::take_digest(std::span<const std::byte> packed_toc) {
  const Digest found = sha256(packed_toc);
  std::call_once(hashed, [&] { toc_digest = found; });
  if (found != toc_digest) bad("bad TOC: it changed while the archive was read");
}

void Reader::State::load() {
  // Seek table first: it bounds everything else.
  std::vector<std::byte> table(
      static_cast<std::size_t>(archive_bytes - footer.toc_offset - footer.toc_size - kFooterFrame));
  read(archive_bytes - table.size(), table);
  const std::vector<SeekEntry> entries = parse_seek_table(table, footer, archive_bytes);
  table = {};

  std::vector<std::byte> packed(static_cast<std::size_t>(kSkippableHeader + footer.toc_size));
  read(footer.toc_offset - kSkippableHeader, packed);
  if (load_le<std::uint32_t>(packed, 0) != kSkippableMagic || load_le<std::uint32_t>(packed, 4) != footer.toc_size) {
    bad("bad TOC: its frame header does not match the footer");
  }
  const auto compressed = std::span<const std::byte>(packed).subspan(kSkippableHeader);
  take_digest(compressed);
  if (ZSTD_getFrameContentSize(compressed.data(), compressed.size()) != footer.toc_uncompressed_size)
    bad("bad TOC: its size differs from the footer's");
  Toc parsed = unpack_toc(compressed);
  frames.clear();
  frames.reserve(entries.size() - 2);
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i + 2 < entries.size(); ++i) {
    frames.push_back({offset, entries[i].compressed, entries[i].content, entries[i].checksum});
    offset += entries[i].compressed;
  }
  toc = std::move(parsed);
  check_chunks();
  tail = {};
}

// Every chunk of the TOC is a frame of the seek table, with the same sizes; the first member is bundle.json.
void Reader::State::check_chunks() const {
  if (toc.entries.front().path != first.path) bad("bad TOC: '" + first.path + "' is not its first entry");
  auto frame = frames.begin();
  for (const Entry& entry : toc.entries) {
    for (const Chunk& chunk : entry.chunks) {
      while (frame != frames.end() && frame->offset < chunk.frame_offset) ++frame;
      if (frame == frames.end() || frame->offset != chunk.frame_offset || frame->size != chunk.frame_size ||
          frame->content != chunk.size) {
        bad("bad TOC: '" + entry.path + "': the chunk at " + std::to_string(chunk.offset) +
            " is not a frame of the seek table");
      }
      ++frame;
    }
  }
}

void Reader::State::decode(const Frame& frame, std::vector<std::byte>& scratch, std::span<std::byte> out) {
  if (scratch.size() < frame.size) scratch.resize(frame.size);
  const std::span<std::byte> packed(scratch.data(), frame.size);
  archive->read_at(frame.offset, packed);
  std::optional<FrameDecoder> decoder;
  {
    const std::lock_guard lock(decoders_mutex);
    if (!decoders.empty()) {
      decoder = std::move(decoders.back());
      decoders.pop_back();
    }
  }
  if (!decoder) decoder.emplace();
  const char* const fault = decoder->decode(packed, out);
  {
    const std::lock_guard lock(decoders_mutex);
    decoders.push_back(std::move(*decoder));
  }
  if (fault != nullptr) bad(std::string("bad frame: ") + fault);
  // The decoder has compared the content with the checksum at the frame's end, which is the seek table's XXH64 too.
  if (load_le<std::uint32_t>(packed, packed.size() - kFrameChecksum) != frame.checksum)
    bad("bad frame: checksum differs from the seek table's");
}

Reader::Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader::~Reader() = default;

Reader Reader::open(std::shared_ptr<const RandomAccess> archive) {
  auto state = std::make_unique<State>();
  state->archive_bytes = archive->size();
  const std::size_t edge = static_cast<std::size_t>(std::min<std::uint64_t>(state->archive_bytes, kPreflightBytes));
  std::vector<std::byte> head(edge);
  archive->read_at(0, head);
  state->first = read_first_member(head);
  state->tail.resize(edge);
  archive->read_at(state->archive_bytes - edge, state->tail);
  state->archive = std::move(archive);

  const std::uint64_t table = seek_table_frame_size(state->tail, state->archive_bytes);
  const std::uint64_t footer_offset = state->archive_bytes - table - kFooterFrame;
  std::vector<std::byte> footer(kFooterFrame);
  state->read(footer_offset, footer);
  state->footer = parse_footer(footer, footer_offset);
  state->footer.frames = (table - kSkippableHeader - kSeekTableTail) / kSeekEntryBytes;
  return Reader(std::move(state));
}

const BundleInfo& Reader::info() const {
  return state_->first.info;
}
const Footer& Reader::footer() const {
  return state_->footer;
}
std::uint64_t Reader::archive_bytes() const {
  return state_->archive_bytes;
}

const Toc& Reader::toc() const {
  std::call_once(state_->loaded, [this] { state_->load(); });
  return state_->toc;
}

const std::vector<Frame>& Reader::frames() const {
  toc();
  return state_->frames;
}

Digest Reader::toc_digest() const {
  std::call_once(state_->hashed, [this] { state_->toc_digest = sha256(state_->read_toc()); });
  return state_->toc_digest;
}

std::vector<std::byte> Reader::toc_bytes() const {
  std::vector<std::byte> bytes = state_->read_toc();
  state_->take_digest(bytes);
  return bytes;
}

std::string Reader::release_id() const {
  return info().name + '-' + info().version + '-' + to_hex(toc_digest()).substr(0, kReleaseDigits);
}

void Reader::read_frame(const Frame& frame, std::vector<std::byte>& scratch, std::span<std::byte> out) const {
  state_->decode(frame, scratch, out);
}

bool Reader::is_here(const Frame& frame) const {
  return state_->archive->is_here(frame.offset, frame.size);
}

void Reader::read_chunk(const Chunk& chunk, std::vector<std::byte>& scratch, std::span<std::byte> out,
                        Proof proof) const {
  // The whole frame is read, zeros too: an archive with a broken bit is broken, whether or not the bit matters.
  const auto frame = std::ranges::lower_bound(frames(), chunk.frame_offset, {}, &Frame::offset);
  if (frame == frames().end() || frame->offset != chunk.frame_offset) bad("no frame begins there");
  read_frame(*frame, scratch, out);
  if (proof == Proof::kChunk && sha256(out) != chunk.digest) bad("digest differs");
}

std::string Reader::read_file(const std::string& path, std::uint64_t limit) const {
  const auto& entries = toc().entries;
  const auto entry = std::ranges::find(entries, path, &Entry::path);
  if (entry == entries.end() || entry->type != EntryType::kRegular) {
    throw Error(ErrorKind::kNotFound, "cannot read '" + path + "': the bundle has no such file");
  }
  if (entry->size > limit) {
    bad("cannot read '" + path + "': it has " + std::to_string(entry->size) + " bytes: at most " +
        std::to_string(limit) + " are expected");
  }
  std::string contents(static_cast<std::size_t>(entry->size), '\0');
  std::vector<std::byte> scratch;
  for (const Chunk& chunk : entry->chunks) {
    const auto out = std::as_writable_bytes(std::span(contents))
                         .subspan(static_cast<std::size_t>(chunk.offset), static_cast<std::size_t>(chunk.size));
    try {
      read_chunk(chunk, scratch, out);
    } catch (const Error& error) {
      throw Error(error.kind(),
                  "cannot read '" + path + "': chunk at " + std::to_string(chunk.offset) + ": " + error.what());
    }
  }
  if (sha256(std::as_bytes(std::span(contents))) != entry->digest) bad("cannot read '" + path + "': digest differs");
  return contents;
}

}  // namespace holdall::bundle
