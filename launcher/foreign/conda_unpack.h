// What conda-pack's bin/conda-unpack would do, read from the script instead of run: which files hold a prefix, and how.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdall::launcher {

struct PrefixRecord {
  std::string path;         // relative to the environment
  std::string placeholder;  // what the file holds: a prefix of whoever built it
  bool binary = false;      // a string of fixed room, ended by NUL; else text
};

// The script's list `_prefix_records` (conda-pack 0.2 to 0.9: conda_pack/core.py, _conda_unpack_template), which has
// one Python tuple of three strings for each file. None if the script has no such list: another program of that name.
// Throws Error{kBadBundle} for a list that is not understood.
std::vector<PrefixRecord> parse_conda_unpack(std::string_view script);

}  // namespace holdall::launcher
