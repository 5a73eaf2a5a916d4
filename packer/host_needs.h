// What a planned bundle asks of its host: reads the headers of its ELF files into bundle.json's `requires`, the
// report's floors and the members' kernels.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "packer/elf_file.h"
#include "packer/plan.h"

namespace holdall::packer {

struct StartUpElf {
  const ElfInfo* elf = nullptr;
  bool on_demand = false;  // loaded by another library, when it comes to that
};

struct HostNeedsOptions {
  Device device = Device::kCpu;
  unsigned threads = 0;              // 0: all processors
  std::function<void()> check = {};  // called from all of them; may throw to cancel
};

// `start_up`: bundle path → programs and the libraries that were followed from them. What else is ELF for the same
// processor may be loaded by something: it counts for the floors, and its kernels refuse no GPU. Variants for newer
// processors (glibc-hwcaps) do not count: they are for those who have one. Call it once the members are complete.
// Throws what derive_requirements() throws.
void derive_host_needs(PackPlan& plan, const std::map<std::string, StartUpElf>& start_up,
                       const HostNeedsOptions& options);

}  // namespace holdall::packer
