// An installed release whose files have changed is put right from its archive: only what is broken is taken from there.
#pragma once

#include <string>
#include <vector>

#include "launcher/installed_content.h"
#include "launcher/source.h"
#include "launcher/store.h"

namespace holdall::launcher {

struct RepairOptions {
  std::function<void(std::uint64_t done, std::uint64_t total)> fetched, unpacked;
};

// Each broken file is unpacked into staging/ and takes its place by one rename, so that a service that runs from the
// release is not disturbed, and an end in the middle leaves whole files. Returns the paths that were put right; nothing
// of `source` is read if none is broken. Throws Error{kBadBundle} if `source` is another bundle than the one that the
// release was made of, which the release's own table of contents tells; Error{kStorage} if that or the install record
// is damaged itself; what Source::reader() and extract() throw.
std::vector<std::string> repair(Store& store, const StoreLock& held, const std::string& release, const Source& source,
                                const RepairOptions& options);

}  // namespace holdall::launcher
