// Compiled Python (.pyc): its header's time, and the paths of the build machine that its code objects name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "packer/relocation/shebang.h"

namespace holdall::packer {

// What the header says of the source, where it goes by time and size: seconds and bytes, modulo 2^32.
struct PycSource {
  std::uint32_t mtime = 0, size = 0;
  bool operator==(const PycSource&) const = default;
};
// nullopt: goes by the source's hash, or no file that this reader knows.
std::optional<PycSource> source_in_header(std::string_view pyc);

struct PycRules {
  const std::vector<PrefixSpelling>& prefixes;
  std::int64_t mtime = 0;  // of the source in the archive, seconds: so the file stays valid for it
};

// The file with every path of a code object (co_filename) made relative to the bundle, and with its source's time where
// it goes by time and not by hash. CPython puts the true path into co_filename when it imports the file. Strings that
// are constants of the program are left alone.
//
// nullopt: not a file that this reader knows (CPython 3.6 to 3.14), or broken. CPython's Python/marshal.c is the
// format's definition: no offsets stand in it, so a string may change its length.
std::optional<std::string> relocatable_pyc(std::string_view pyc, const PycRules& rules);

}  // namespace holdall::packer
