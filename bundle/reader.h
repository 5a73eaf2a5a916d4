// Reads bundle format 1: preflight from the first 64 KiB, TOC from the end, chunks anywhere, verification of all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/toc.h"

namespace holdall::bundle {

// A file, or anything with ranges. read_at() is thread-safe and fills `out` wholly or throws.
class RandomAccess {
 public:
  virtual ~RandomAccess() = default;
  virtual std::uint64_t size() const = 0;
  virtual void read_at(std::uint64_t offset, std::span<std::byte> out) const = 0;
  // False: reading that would fetch it first.
  virtual bool is_here(std::uint64_t /*offset*/, std::uint64_t /*size*/) const { return true; }
};

// Throws Error{kNotFound} or Error{kStorage}.
std::unique_ptr<RandomAccess> open_file(const std::string& path);

inline constexpr std::size_t kPreflightBytes = 64 * 1024;
inline constexpr std::size_t kReleaseDigits = 12;  // hex, of the TOC's digest, at the end of a release's id

// From the archive's first bytes (all of it if it is shorter than kPreflightBytes). Throws Error{kBadBundle}.
BundleInfo read_bundle_info(std::span<const std::byte> head);

struct Footer {
  std::uint64_t toc_offset = 0, toc_size = 0, toc_uncompressed_size = 0;
  std::uint64_t frames = 0;
};

// A data frame: its place in the archive, and its entry of the seek table.
struct Frame {
  std::uint64_t offset = 0;
  std::uint32_t size = 0;      // compressed, bytes
  std::uint32_t content = 0;   // bytes
  std::uint32_t checksum = 0;  // xxh64_low32 of the content
};

// An opened bundle. open() reads the first and the last 64 KiB; toc() reads the TOC once, checks it against footer and
// seek table, and keeps it. All const members are thread-safe.
class Reader {
 public:
  static Reader open(std::shared_ptr<const RandomAccess> archive);
  Reader(Reader&&) noexcept;
  ~Reader();

  const BundleInfo& info() const;
  const Footer& footer() const;
  std::uint64_t archive_bytes() const;
  const Toc& toc() const;
  Digest toc_digest() const;                 // sha256 of the compressed TOC, whatever it holds: nothing is parsed
  std::vector<std::byte> toc_bytes() const;  // the compressed TOC, as in the archive
  std::string release_id() const;            // "<name>-<version>-<first kReleaseDigits of toc_digest>"

  // The data frames in archive order: tar headers with padding, and chunks. Loads and checks what toc() does.
  const std::vector<Frame>& frames() const;

  // Decompresses one frame into `out` (exactly frame.content bytes) and checks it against the seek table.
  // Throws Error{kBadBundle} naming nothing.
  void read_frame(const Frame& frame, std::vector<std::byte>& scratch, std::span<std::byte> out) const;
  bool is_here(const Frame& frame) const;  // as RandomAccess says

  // Decompresses one chunk into `out` (exactly chunk.size bytes) and checks its digest, unless the caller compares its
  // file's. `scratch` is reused between calls of one thread. Throws Error{kBadBundle} naming nothing: callers add the
  // path.
  enum class Proof { kChunk, kFile };
  void read_chunk(const Chunk& chunk, std::vector<std::byte>& scratch, std::span<std::byte> out,
                  Proof proof = Proof::kChunk) const;

  // A whole small file (at most `limit` bytes), verified. Throws Error{kNotFound} if there is no such entry.
  std::string read_file(const std::string& path, std::uint64_t limit = 1 << 20) const;

 private:
  struct State;
  explicit Reader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What `holdall verify` reports: expected findings are values.
struct VerifyReport {
  std::uint64_t files = 0, bytes = 0, frames = 0;
  std::vector<std::string> faults;  // "lib/libc10.so: chunk at 1048576: digest differs"; at most 100
  bool ok() const { return faults.empty(); }
};

// Reads the whole archive: every frame against the seek table, every chunk and file against the TOC, and the tar
// stream, header by header, against the TOC. `threads`: 0: one for each processor.
VerifyReport verify(const Reader& reader, unsigned threads);

}  // namespace holdall::bundle
