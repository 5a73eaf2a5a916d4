// Unpacks a bundle into a folder: parallel, verified before a file becomes visible, relocated in flight.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/known_content.h"
#include "bundle/reader.h"

namespace holdall::bundle {

enum class ExtractPurpose {
  kInstall,  // to be relied on later: the digests of files are proven too, and all is synced to the disk
  kUnpack,   // as tar does: every byte is proven by its chunk's digest; no record, and the kernel writes back when it
             // will
};

struct ExtractOptions {
  ExtractPurpose purpose = ExtractPurpose::kInstall;
  std::string prefix;  // absolute path where the tree will live in the end; relocations write it and, where the
                       // archive keeps everything under one folder, that folder
  LibcChoice libc = LibcChoice::kHost;  // kBundled: the bundle must bring one
  unsigned threads = 0;                 // 0: all processors
  const KnownContent* known = nullptr;  // asked before the archive is read; null: nothing is known
  // Of a part only: its files and links, with their folders; nothing that is in no TOC. Empty: all.
  std::function<bool(const Entry&)> wanted = {};
  // Called before each change to the disk, from any of the threads: tests kill the process there.
  std::function<void(std::string_view call, std::string_view path)> before_change;
  // Called from worker threads, at most some 20 times a second, with bytes written so far. May throw to cancel.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

// What was written, per regular file, for kInstall: the record that later checks compare with.
struct InstalledFile {
  std::string path;
  std::uint64_t size = 0;  // on disk, after relocation
  std::int64_t mtime_ns = 0, ctime_ns = 0;
  Digest digest{};  // of the bytes on disk
};

// `directory_fd` is an empty folder. Nothing outside it is touched, whatever the archive says. The tar stream's headers
// that are here (RandomAccess::is_here) are compared with the TOC. A prefix that does not suit every file is refused
// before anything is written. A bundle with a relocation list gets what it names and the TOC does not: links to
// programs of the host and, if it lists files, kPrefixPath; one that is to run on the libc that it brings,
// libc_links(). On any failure the caller removes the folder. Throws Error{kBadBundle, kStorage}.
std::vector<InstalledFile> extract(const Reader& reader, int directory_fd, const ExtractOptions& options);

}  // namespace holdall::bundle
