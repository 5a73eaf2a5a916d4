// Writes bundle format 1 as a stream: chunks are cut by content, compressed in parallel, written in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/digest.h"
#include "bundle/entry_store.h"
#include "bundle/toc.h"

namespace holdall::bundle {

// Where bytes come from: fills `out` as far as it can and returns how many; 0 at the end. Throws on failure.
using ByteSource = std::function<std::size_t(std::span<std::byte> out)>;

// Where the archive goes, in order. Throws on failure.
using ByteSink = std::function<void(std::span<const std::byte> data)>;

// Puts a range of the base behind what the sink has got, in the sink's thread. Throws on failure.
using RangeCopy = std::function<void(std::uint64_t offset, std::uint64_t size)>;

enum class ArchiveDigest { kSkip, kCompute };

class BaseArchive;

struct WriterOptions {
  int level = 3;                                        // zstd
  unsigned threads = 0;                                 // 0: all processors. Memory is bounded by 64 MiB per thread
  std::int64_t mtime = 0;                               // of every member, 0 to 2^33-1; SOURCE_DATE_EPOCH
  ArchiveDigest archive_digest = ArchiveDigest::kSkip;  // of all bytes written: another pass over them
  std::string root{};  // folder in the archive that holdall/bundle.json lies in; empty: at the top
  // Chunks that it holds are copied from it: bytes and digests are the same as without it, and so is the archive if the
  // base was made with frame_encoding(level).
  std::shared_ptr<const BaseArchive> base{};
  // For a base that is known to be as its writer left it: frames of known chunks are copied by this, unread and
  // unchecked. Not used where the archive's digest is asked for, which reads them anyway.
  RangeCopy copy_base{};
  bool frame_digests = false;  // of every chunk's frame: for who will call add_known() another time
};

// A chunk as an earlier archive has it.
struct KnownChunk {
  std::uint64_t size = 0;  // uncompressed, bytes
  Digest digest{};         // of these
  bool zeros = false;
  Digest frame{};  // sha256 of the frame that holds it
};

// What was taken from the base.
struct CopySummary {
  std::uint64_t frames = 0, bytes = 0;  // bytes of content
  std::uint64_t broken = 0;             // frames that the base names and does not have: compressed instead
};

struct WriteSummary {
  std::uint64_t archive_bytes = 0;
  std::optional<Digest> archive_digest{};  // if asked for
  std::uint64_t toc_offset = 0, toc_size = 0, toc_uncompressed_size = 0;
  Digest toc_digest{};  // of the compressed TOC: the release id's source
  std::uint64_t files = 0, bytes = 0, frames = 0;
  CopySummary copied{};
};

// Members come in the order in which they shall stand in the archive: bundle.json is written by the constructor,
// the caller sorts the rest and adds directories before what they hold. Not thread-safe; it threads inside.
class Writer {
 public:
  Writer(const BundleInfo& info, const WriterOptions& options, ByteSink sink);
  ~Writer();  // without finish(): stops the threads; the sink's output is an incomplete archive

  // `entry` needs path, type, executable, size, link_target, relocations, elf, vendor and layer; digest and chunks are
  // computed. `source` must give exactly entry.size bytes, else Error{kInternal} naming the file.
  // Checks the rules of FORMAT.md as readers do: a name that no bundle may have, a name given twice, a missing folder
  // or (at finish) a link out of the tree is Error{kCannotPack}. After a throw the writer can only be destroyed.
  void add(Entry entry, const ByteSource& source = nullptr);

  // As add(), for a file whose bytes are known to be those that an earlier writer cut into `chunks`, not empty;
  // entry.digest is theirs. Nothing of it is read: its frames come from the base, which must name them all. From here
  // on, any member may throw Error{kBadBundle}: the base has another frame.
  void add_known(Entry entry, std::span<const KnownChunk> chunks);

  // Waits until what was added is written, so that entries() tells of it: for a member that speaks of those before it.
  void settle();

  // Writes the end of the tar, TOC, footer and seek table. Call once, last.
  WriteSummary finish();

  // After finish() or settle(): what the archive holds, in its order, with sizes, digests and chunks.
  const EntryStore& entries() const;

  // After finish(), if WriterOptions asked for them: of all entries' chunks, in their order.
  std::span<const Digest> frame_digests() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::bundle
