// Turns what was collected into members whose bytes do not say where they were built.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bundle/relocation_list.h"
#include "packer/inputs/collection.h"
#include "packer/plan.h"
#include "packer/relocation/prefix_rewrite.h"

namespace holdall::packer {

struct RelocationOptions {
  ShebangForm shebang = ShebangForm::kRelative;
  std::string destination = {};  // absolute: written in the build prefix's place at once; empty: relocatable
  std::string launcher = {};     // the program `holdall`, packed as bin/holdall and bin/conda-unpack; empty: neither
  Libc libc = Libc::kHost;       // kBundled: programs get room for the bundle's own loader
  Slimming slimming = Slimming::kNone;  // kDrop: slim() is to follow, and wheels' RECORDs are to know of it
  std::int64_t mtime = 0;               // of every member in the archive, seconds
  unsigned threads = 0;                 // 0: all processors
  std::function<void()> check = {};     // called from all threads; may throw to cancel
  Remembered* remembered = nullptr;     // what need not be read again; or nothing
};

struct RelocatableInputs {
  std::vector<PlannedMember> members;  // as collected, without what cannot go into an archive
  std::vector<bundle::HostLink> host_links;
  std::vector<std::string> warnings;
};

// Reads the files in parallel, those that change once more for their digest, and keeps nothing of them but what
// differs. Conda environments and venvs get activate scripts of ours. A .pyc that cannot be read, is older than its
// source or has a source that gets another prefix at each place, is left out: Python compiles it again. Throws
// Error{kCannotPack, kNotFound, kStorage} and what `check` throws.
RelocatableInputs make_relocatable(const Collection& collection, const RelocationOptions& options);

// holdall/relocations.json for `members`; nothing if no member needs it. Members with relocations must say in
// `expected` what their digest as packed is.
void add_relocation_list(std::vector<PlannedMember>& members, std::vector<bundle::HostLink> links);

// Plans `rewrite` for a member whose bytes are `file`'s: splices, records, size, and the digest as packed. Throws
// Error{kInternal} for records that no archive may have, so that none is written that cannot be installed.
void put_rewrite(PlannedMember& member, const std::shared_ptr<const ReadableFile>& file, PrefixRewrite rewrite,
                 const std::function<void()>& check);

}  // namespace holdall::packer
