// A file that holds somebody's prefix becomes one that holds ours, with the records to relocate it by.
#pragma once

#include <string>
#include <vector>

#include "bundle/relocation.h"
#include "launcher/foreign/conda_unpack.h"

namespace holdall::launcher {

struct PackedContents {
  std::string bytes;
  std::vector<bundle::Relocation> relocations;  // none: it does not hold the prefix
};

// Every occurrence that conda-unpack would replace: in text all; in binaries those in a string that a NUL ends.
PackedContents take_prefix_out(std::string contents, const PrefixRecord& record);

}  // namespace holdall::launcher
