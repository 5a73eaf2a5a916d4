// SOURCE of a command: where a bundle comes from. A file, an unpacked folder, or "-" for standard input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/reader.h"
#include "launcher/options.h"

namespace holdall::launcher {

enum class SourceKind { kFile, kFolder, kPipe };

// How much of a pipe is taken.
struct SpoolLimits {
  std::uint64_t max_bytes = 0;                // --max-size; 0: any
  std::optional<std::uint64_t> signed_bytes;  // the size of the archive that was signed
};

class Source {
 public:
  // Reads what the preflight needs: at most the first 64 KiB. Throws Error{kUsage} for https:// and oci://, which this
  // version cannot fetch, Error{kNotFound, kStorage, kBadBundle} otherwise.
  static Source open(const std::string& given);

  SourceKind kind() const { return kind_; }
  const std::string& given() const { return given_; }
  const bundle::BundleInfo& info() const { return info_; }

  // The archive. A pipe is first read to its end into a file in `spool_folder` that has no name; other kinds ignore
  // both. Throws Error{kUsage} for a folder, which carries no digests to install by, and for a pipe that gives more
  // than it may Error{kStorage, kTrust}.
  bundle::Reader reader(const std::string& spool_folder, const SpoolLimits& limits) const;

 private:
  SourceKind kind_ = SourceKind::kFile;
  std::string given_;
  bundle::BundleInfo info_;
  std::vector<std::byte> head_;  // of a pipe: what was read from it
};

}  // namespace holdall::launcher
