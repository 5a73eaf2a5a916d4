// SOURCE of a command: where a bundle comes from. A file, an unpacked folder, an https:// address, or
// "-" for standard input. A file may also be an archive of another format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/reader.h"
#include "launcher/fetch/remote_archive.h"
#include "launcher/foreign/foreign_archive.h"
#include "launcher/options.h"

namespace holdall::launcher {

enum class SourceKind { kFile, kFolder, kPipe, kRemote, kForeign };

class Source {
 public:
  // Reads what the preflight needs: at most the first 64 KiB, but all of a foreign archive. `plain`: kAnywhere if its
  // bytes will be checked or are accepted as they are. Throws Error{kUsage} for oci://, which this version cannot
  // fetch, Error{kTrust} for http://, Error{kNotFound, kStorage, kBadBundle, kNetwork} otherwise.
  enum class PlainHttp { kLoopback, kAnywhere };
  static Source open(const std::string& given, const FetchOptions& fetch = {}, PlainHttp plain = PlainHttp::kLoopback);

  SourceKind kind() const { return kind_; }
  const std::string& given() const { return given_; }
  const bundle::BundleInfo& info() const { return info_; }

  // The archive. A pipe is first read to its end into a file in `spool_folder` that has no name; what is fetched goes
  // to one there too, after what an earlier try has left is checked frame by frame, and without the chunks that are
  // known (they are fetched when they are read all the same); of a foreign archive a bundle is made there. Other kinds
  // ignore both. Throws Error{kUsage} for a folder, which carries no digests to install by, and for a pipe that gives
  // more than it may Error{kStorage, kTrust}.
  bundle::Reader reader(const std::string& spool_folder, const SpoolLimits& limits) const;

  // Whether the archive has digests of its own, which can be compared: a foreign one has none.
  bool has_digests() const { return kind_ != SourceKind::kForeign; }

  // What is left out of it, for the user; empty: nothing.
  std::string warning() const;

  // The bytes of an archive in a file or on a server, as they were given, fetched only as they are read.
  std::shared_ptr<const bundle::RandomAccess> bytes() const;

  // Removes what reader() kept for another try.
  void forget_partial(const std::string& spool_folder) const;

 private:
  SourceKind kind_ = SourceKind::kFile;
  std::string given_;
  bundle::BundleInfo info_;
  bundle::Reader fetched_reader(const std::string& spool_folder, const SpoolLimits& limits) const;
  bundle::Reader made_reader(const std::string& spool_folder, const SpoolLimits& limits) const;

  std::shared_ptr<RemoteArchive> remote_;
  std::shared_ptr<const ForeignArchive> foreign_;
  std::string partial_;          // of what is fetched: its name for another try
  std::vector<std::byte> head_;  // of a pipe: what was read from it
};

}  // namespace holdall::launcher
