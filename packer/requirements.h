// What the host must bring, computed from the bytes of what is packed, each floor with the file that sets it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bundle/bundle_info.h"
#include "packer/elf_file.h"
#include "packer/manifest.h"

namespace holdall::packer {

// A packed ELF file: where it lies in the bundle, and what it says.
using PackedElf = std::pair<std::string, const ElfInfo*>;

// `arch`, `cpu_level`, `glibc` and, for a CUDA bundle, `cuda`. libstdc++ is packed, so it sets no floor. A bundle that
// runs on the CPU asks for no driver, whatever it carries. Throws Error{kCannotPack} if a CUDA bundle has no libcudart
// or one of a CUDA that is not known.
bundle::Requirements derive_requirements(const std::vector<PackedElf>& files, Device device);

// -1, 0 or 1: "2.9" < "2.34", component by component, as numbers.
int compare_versions(std::string_view a, std::string_view b);

}  // namespace holdall::packer
