// releases/<id>/installed.json: the tree as its installation wrote it. A later check reads only files that differ in
// size or time from what is recorded.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bundle/extract.h"
#include "bundle/file_descriptor.h"

namespace holdall::launcher {

inline constexpr const char* kInstallRecordName = "installed.json";

// An ELF file as its vendor made it, before the packer edited it.
struct OriginalFile {
  std::uint64_t size = 0;
  bundle::Digest digest{};
};

struct InstallRecord {
  std::int64_t installed_at = 0;  // seconds since the epoch
  std::vector<bundle::InstalledFile> files;
  std::vector<std::pair<std::string, std::string>> links;  // path and target
  std::map<std::string, OriginalFile> originals;           // by path, of the files that the packer edited
  bundle::LibcChoice libc = bundle::LibcChoice::kHost;

  std::uint64_t bytes() const;
};

std::string to_json(const InstallRecord& record);

// `release` is the open folder of a release. Throws Error{kStorage}: the store is ours, so a record that cannot be read
// is damage, not a bad bundle; Error{kNotFound} where there is none.
InstallRecord read_install_record(const bundle::FileDescriptor& release);

}  // namespace holdall::launcher
