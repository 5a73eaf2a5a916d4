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

}  // namespace

std::int64_t check_tar_stream(const Reader& reader) {
  constexpr int kMaxEndBlocks = 2048;
  Glue glue(reader);
  const auto next = [&](std::span<std::byte> block) { glue.read(block); };
  const std::string* path = nullptr;
  std::optional<std::int64_t> mtime;
  try {
    for (const Entry& entry : reader.toc().entries) {
      path = &entry.path;
      const std::optional<TarHeader> header = read_tar_header(next);
      if (!header) bad("the tar stream ends before it");
      if (std::string fault = tar_header_fault(*header, entry); !fault.empty()) bad(fault);
      if (!mtime) mtime = header->mtime;
      if (entry.chunks.empty()) continue;
      glue.skip_payload(entry);
      check_zeros(glue, tar_padding(entry.size));
    }
  } catch (const Error& error) {
    throw Error(error.kind(), (path ? "'" + *path + "': " : "") + error.what());
  }
  int blocks = 0;
  for (; !glue.at_end(); ++blocks) {
    if (blocks == kMaxEndBlocks) bad("the end of the tar stream is too long");
    if (read_tar_header(next)) bad("the tar stream has members that the TOC does not list");
  }
  if (blocks < 2) bad("the tar stream has no end");
  return mtime.value_or(0);
}

}  // namespace holdall::bundle
