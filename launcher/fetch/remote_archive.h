// An archive on a server, as RandomAccess: what is read is fetched by ranges, once, and kept.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/file_descriptor.h"
#include "bundle/known_content.h"
#include "bundle/reader.h"
#include "launcher/fetch/fetcher.h"
#include "launcher/fetch/range_set.h"

namespace holdall::launcher {

// How much of a source that has no end known beforehand is taken.
struct SpoolLimits {
  std::uint64_t max_bytes = 0;                // --max-size; 0: any
  std::optional<std::uint64_t> signed_bytes;  // the size of the archive that was signed
  bool resumable = false;                     // keep what was fetched under a name until Source::forget_partial()
  std::function<void(std::uint64_t done, std::uint64_t total)> fetched;
  const bundle::KnownContent* known = nullptr;             // chunks that need not be fetched; null: none
  std::function<void(const bundle::Reader&)> accept = {};  // may refuse what is fetched, before its payload is
};

// Five tries for each piece, with growing pauses, each going on where the last one ended; then the next mirror's turn.
// What has changed on a server meanwhile is not taken from it. Everything may throw Error{kNetwork, kNotFound,
// kInterrupted}. Thread-safe.
class RemoteArchive : public bundle::RandomAccess {
 public:
  RemoteArchive(Url url, FetchOptions options);
  ~RemoteArchive() override;

  // The first 64 KiB, or less if there are not so many. One request.
  const std::vector<std::byte>& head();

  // From here on what comes is kept in `file`, and read from there. A server without ranges is read to its end.
  void keep_in(bundle::FileDescriptor file, const SpoolLimits& limits);
  // Takes what `file` held of that range already, unproven; drop() takes it back. False: it held not all of it.
  bool adopt(const ByteRange& range);
  void drop(const ByteRange& range);

  // The address that has answered last sent other bytes than the archive's: it is not asked again. Which it
  // was; nullopt: there is no other. Not while prefetch() runs.
  std::optional<std::string> distrust_current();
  bool has_mirrors() const;

  // Fetches what of `wanted` (in order) is not there, over several connections; small gaps come with it.
  void prefetch(const std::vector<ByteRange>& wanted,
                const std::function<void(std::uint64_t, std::uint64_t)>& progress);

  std::uint64_t size() const override;
  bool is_here(std::uint64_t offset, std::uint64_t size) const override;
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::launcher
