// SOURCE of a command: where a bundle comes from. A file, an unpacked folder, or "-" for standard input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bundle/reader.h"
#include "launcher/options.h"

namespace holdall::launcher {

enum class SourceKind { kFile, kFolder, kPipe };

class Source {
 public:
  // Reads what the preflight needs: at most the first 64 KiB. Throws Error{kUsage} for https:// and oci://, which this
  // version cannot fetch, Error{kNotFound, kStorage, kBadBundle} otherwise.
  static Source open(const std::string& given);

  SourceKind kind() const { return kind_; }
  const std::string& given() const { return given_; }
  const bundle::BundleInfo& info() const { return info_; }

  // The archive. A pipe is first read to its end into a file in `spool_folder` that has no name, at most `max_bytes`
  // (0: any size); other kinds ignore both. Throws Error{kUsage} for a folder, which carries no digests to install by.
  bundle::Reader reader(const std::string& spool_folder, std::uint64_t max_bytes) const;

  // The description beside a file: FILE.release.json; empty if there is none.
  std::string release_json() const;

 private:
  SourceKind kind_ = SourceKind::kFile;
  std::string given_;
  bundle::BundleInfo info_;
  std::vector<std::byte> head_;  // of a pipe: what was read from it
};

}  // namespace holdall::launcher
