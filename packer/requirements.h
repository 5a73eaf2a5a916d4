// What the host must bring, computed from the bytes of what is packed, each floor with the file that sets it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle_info.h"
#include "packer/elf_file.h"
#include "packer/fatbin.h"
#include "packer/manifest.h"

namespace holdall::packer {

struct PackedElf {
  std::string path;  // in the bundle
  const ElfInfo* elf = nullptr;
  const Kernels* kernels = nullptr;  // null: none
  // Whether the service cannot do without its kernels. Not so: NVIDIA's libraries, which choose among many, and what
  // another library loads on demand.
  bool gates = false;
};

// `arch`, `cpu_level`, `glibc`, `libstdcxx` unless it is packed itself, and for a CUDA bundle `cuda`. A bundle that
// runs on the CPU asks for no driver, whatever it carries. Throws Error{kCannotPack} if a CUDA bundle has no libcudart
// or one of a CUDA that is not known.
bundle::Requirements derive_requirements(const std::vector<PackedElf>& files, Device device);

// Each file's own floor for a library that stays on the host, the highest first: `library` is "libc" or "libstdc++".
std::vector<bundle::Floor> floors_of(const std::vector<PackedElf>& files, std::string_view library);

// "2" for x86-64-v2: each file that says that it needs more than the baseline, the highest first.
std::vector<bundle::Floor> cpu_levels_of(const std::vector<PackedElf>& files);

// All that a file carries.
bundle::KernelCoverage all_targets(const Kernels& kernels);

// The GPUs that it serves: targets of at least half of its fat binaries. A few kernels for one more GPU do not make a
// library run there. All targets if none is in as many.
bundle::KernelCoverage served_targets(const Kernels& kernels);

// -1, 0 or 1: "2.9" < "2.34", component by component, as numbers.
int compare_versions(std::string_view a, std::string_view b);

}  // namespace holdall::packer
