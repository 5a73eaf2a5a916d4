// The build machine's C library, for bundles that bring their own ("libc": "bundled").
#pragma once

#include <string>
#include <vector>

namespace holdall::packer {

// In the bundle, glibc lies in a folder of its own that no library path leads to: on a host whose own glibc will do,
// the host's loader must not find it, for a loader works only with the libc it was built with. Relocation leads to it
// where the host's is too old (docs/decisions/0006).
inline constexpr const char* kLibcFolder = "libc";

struct GlibcFile {
  std::string name;       // SONAME, "libc.so.6"; of the loader its file name, "ld-linux-x86-64.so.2"
  std::string real_path;  // links resolved
};

struct Glibc {
  std::string version;           // "2.36", the newest that libc.so.6 defines
  std::string interpreter;       // the loader's name
  std::vector<GlibcFile> files;  // the loader among them; sorted by name
};

// The whole family: what programs name as NEEDED, and what glibc itself loads (name services). All of it lies in one
// folder; `system_folders` are searched for the first that holds a libc.so.6 for `machine` (e_machine), and the loader
// is the one that this libc.so.6 names as NEEDED. Throws Error{kCannotPack} if there is none.
Glibc find_glibc(const std::vector<std::string>& system_folders, std::uint16_t machine);

}  // namespace holdall::packer
