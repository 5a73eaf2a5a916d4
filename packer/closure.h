// Which libraries a set of programs needs, found as ld.so would find them, without executing anything.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "packer/elf_file.h"

namespace holdall::packer {

// Whether what NVIDIA's libraries load with dlopen belongs to the closure. A CPU bundle carries libcudart and libcupti
// only because libtorch_cpu names them as NEEDED; without a driver they never come to load anything.
enum class DlopenGroups { kNone, kCuda };

struct ClosureOptions {
  std::vector<std::string> library_paths = {};   // absolute; searched where ld.so has LD_LIBRARY_PATH
  std::vector<std::string> system_folders = {};  // searched last; see system_library_folders()
  DlopenGroups groups = DlopenGroups::kNone;
};

struct PackedLibrary {
  std::string name;                  // file name in lib/: the SONAME, else the name it was asked for by
  std::string path;                  // of the input, as found
  std::string real_path;             // links resolved
  std::vector<std::string> aliases;  // other names it is asked for by
  std::string needed_by;             // bundle path of the first that asked
  std::string reason;      // why that one asked: "needed by", "listed in dlopen for", "loaded on demand (cuDNN) by"
  bool on_demand = false;  // no program loads it at its start: another library does, when it comes to that
  ElfInfo elf;
};

struct Closure {
  std::vector<ElfInfo> roots;                  // of the programs, in their order
  std::vector<PackedLibrary> libraries;        // sorted by name
  std::map<std::string, std::string> on_host;  // library that stays on the host → who asked for it first
};

// `programs` and `dlopen` are paths of inputs; an item of `dlopen` without '/' is a name to search for.
// Throws one Error{kCannotPack} that lists everything that is missing (by whom it is needed, where it was searched),
// broken files, incomplete groups by name, stub and driver libraries among the inputs; one Error{kStorage} if all that
// is wrong is that files may not be read.
Closure compute_closure(const std::vector<std::string>& programs, const std::vector<std::string>& dlopen,
                        const ClosureOptions& options);

// The folders of `configuration` (/etc/ld.so.conf with its includes) and the loader's own defaults.
std::vector<std::string> system_library_folders(const std::string& configuration = "/etc/ld.so.conf");

}  // namespace holdall::packer
