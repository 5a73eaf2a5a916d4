// releases/<id>/installed.json: what an installation wrote, so that later checks need not read every byte again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bundle/extract.h"

namespace holdall::launcher {

inline constexpr const char* kInstallRecordName = "installed.json";

// An ELF file as its vendor made it, before the packer edited it.
struct OriginalFile {
  std::uint64_t size = 0;
  bundle::Digest digest{};
};

struct InstallRecord {
  std::int64_t installed_at = 0;  // seconds since the epoch
  std::string prefix;             // what relocations wrote
  std::vector<bundle::InstalledFile> files;
  std::vector<std::pair<std::string, std::string>> links;  // path and target
  std::map<std::string, OriginalFile> originals;  // by path: a file that was put back to that state is in order

  std::uint64_t bytes() const;
};

std::string to_json(const InstallRecord& record);

// Throws Error{kStorage}: the store is ours, so a record that cannot be read is damage, not a bad bundle.
InstallRecord parse_install_record(const std::string& json);

}  // namespace holdall::launcher
