#include "bundle/tar_stream.h"

#include <algorithm>
#include <cstring>

#include "bundle/error.h"
#include "bundle/tar_header.h"

namespace holdall::bundle {

namespace {

[[noreturn]] void bad(const std::string& reason) {
  throw Error(ErrorKind::kBadBundle, reason);
}

// The bytes of the tar stream between two payloads, frame by frame.
class Glue {
 public:
  explicit Glue(const Reader& reader) : reader_(reader) {}

  // Fills `out`. A payload must not begin within it.
  void read(std::span<std::byte> out) {
    while (!out.empty()) {
      if (at_ == content_.size() && !next_frame()) bad("the tar stream ends early");
      const std::size_t part = std::min(out.size(), content_.size() - at_);
      std::memcpy(out.data(), content_.data() + at_, part);
      at_ += part;
      out = out.subspan(part);
    }
  }

  // Whether all frames up to the payload of `next` (null: to the end) are here; if not, they are passed over.
  bool is_here_until(const Entry* next) {
    bool here = true;
    std::size_t end = index_;
    for (; end < reader_.frames().size(); ++end) {
      const Frame& frame = reader_.frames()[end];
      if (next != nullptr && frame.offset >= next->chunks.front().frame_offset) break;
      here = here && reader_.is_here(frame);
    }
    if (!here) index_ = end;
    return here;
  }

  // The payload of `entry` comes now; what follows is glue until the next file's.
  void skip_payload(const Entry& entry) {
    if (at_ != content_.size()) bad("its frames do not begin behind its tar header");
    for (const Chunk& chunk : entry.chunks) {
      if (index_ == reader_.frames().size() || reader_.frames()[index_].offset != chunk.frame_offset) {
        bad("its frames do not begin behind its tar header");
      }
      ++index_;
    }
  }

  bool at_end() { return at_ == content_.size() && !next_frame(); }

 private:
  bool next_frame() {
    if (index_ == reader_.frames().size()) return false;
    const Frame& frame = reader_.frames()[index_++];
    content_.resize(frame.content);
    reader_.read_frame(frame, scratch_, content_);
    at_ = 0;
    return true;
  }

  const Reader& reader_;
  std::size_t index_ = 0;  // of the next frame
  std::vector<std::byte> content_, scratch_;
  std::size_t at_ = 0;
};

void check_zeros(Glue& glue, std::size_t size) {
  std::byte block[kTarBlock];
  const std::span<std::byte> out(block, size);
  glue.read(out);
  if (std::ranges::any_of(out, [](std::byte byte) { return byte != std::byte{0}; })) bad("padding is not zero");
}

void check_end(Glue& glue) {
  constexpr int kMaxEndBlocks = 2048;
  int blocks = 0;
  for (; !glue.at_end(); ++blocks) {
    if (blocks == kMaxEndBlocks) bad("the end of the tar stream is too long");
    if (read_tar_header([&](std::span<std::byte> block) { glue.read(block); }))
      bad("the tar stream has members that the TOC does not list");
  }
  if (blocks < 2) bad("the tar stream has no end");
}

}  // namespace

std::int64_t check_tar_stream(const Reader& reader) {
  const auto& entries = reader.toc().entries;
  Glue glue(reader);
  const std::string* path = nullptr;
  std::optional<std::int64_t> mtime;
  try {
    std::size_t padding = 0;  // of the last payload
    for (auto entry = entries.begin();;) {
      const auto next = std::find_if(entry, entries.end(), [](const Entry& each) { return !each.chunks.empty(); });
      const bool last = next == entries.end();
      const auto behind = last ? next : next + 1;
      if (glue.is_here_until(last ? nullptr : &*next)) {
        check_zeros(glue, padding);
        for (; entry != behind; ++entry) {
          path = &entry->path;
          const std::optional<TarHeader> header =
              read_tar_header([&](std::span<std::byte> block) { glue.read(block); });
          if (!header) bad("the tar stream ends before it");
          if (std::string fault = tar_header_fault(*header, *entry); !fault.empty()) bad(fault);
          if (!mtime) mtime = header->mtime;
        }
        if (last) path = nullptr;
        if (last) check_end(glue);
      }
      if (last) return mtime.value_or(0);
      path = &next->path;
      glue.skip_payload(*next);
      padding = tar_padding(next->size);
      entry = behind;
    }
  } catch (const Error& error) {
    throw Error(error.kind(), (path ? "'" + *path + "': " : "") + error.what());
  }
}

}  // namespace holdall::bundle
