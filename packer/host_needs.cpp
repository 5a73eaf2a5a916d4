#include "packer/host_needs.h"

#include <list>
#include <optional>
#include <vector>

#include "bundle/error.h"
#include "packer/fatbin.h"
#include "packer/requirements.h"

namespace holdall::packer {
namespace {

// nullopt: no ELF, an object file, of another class or processor: bytes like others. `machine` 0: any.
std::optional<ElfInfo> plug_in(const PlannedMember& member, std::uint16_t machine) {
  if (member.entry.path.find("glibc-hwcaps/") != std::string::npos || !has_elf_magic(member.source)) return {};
  try {
    ElfInfo elf = describe(ElfFile(member.source));
    if (machine == 0 || elf.machine == machine) return elf;
  } catch (const bundle::Error&) {
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void derive_host_needs(PackPlan& plan, const std::map<std::string, StartUpElf>& start_up, Device device) {
  std::list<ElfInfo> plug_ins;
  std::list<Kernels> kernels;
  std::vector<PackedElf> files;
  std::uint16_t machine = start_up.empty() ? 0 : start_up.begin()->second.elf->machine;
  for (PlannedMember& member : plan.members) {
    if (member.entry.type != bundle::EntryType::kRegular || member.source.empty()) continue;
    PackedElf file{.path = member.entry.path};
    if (const auto known = start_up.find(member.entry.path); known != start_up.end()) {
      file.elf = known->second.elf;
      file.gates = !known->second.on_demand && !member.entry.vendor;
    } else {
      if (member.entry.layer == "system" || member.entry.layer == "model") continue;  // its own libc; weights
      auto elf = plug_in(member, machine);
      if (!elf) continue;
      machine = elf->machine;
      plug_ins.push_back(*std::move(elf));
      file.elf = &plug_ins.back();
    }
    kernels.push_back(kernels_of(ElfFile(member.source)));
    file.kernels = &kernels.back();
    member.entry.kernels = all_targets(kernels.back());
    if (!kernels.back().fault.empty()) {
      plan.warnings.push_back("the kernels of '" + member.source + "' cannot be read: " + kernels.back().fault);
    }
    files.push_back(file);
  }
  const bundle::Requirements derived = derive_requirements(files, device);
  bundle::Requirements& needs = plan.info.requires_host;
  needs.arch = derived.arch;
  needs.cpu_level = derived.cpu_level;
  needs.glibc = derived.glibc;
  needs.libstdcxx = derived.libstdcxx;
  needs.cuda = derived.cuda;
  plan.floors = {
      .glibc = floors_of(files, "libc"), .libstdcxx = floors_of(files, "libstdc++"), .cpu_level = cpu_levels_of(files)};
}

}  // namespace holdall::packer
