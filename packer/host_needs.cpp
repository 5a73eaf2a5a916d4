#include "packer/host_needs.h"

#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "bundle/error.h"
#include "packer/fatbin.h"
#include "packer/glibc_family.h"
#include "packer/requirements.h"

namespace holdall::packer {
namespace {

struct PlugIn {
  ElfFile file;
  ElfInfo info;
};

// nullopt: no ELF, an object file, of another class or processor: bytes like others. `machine` 0: any.
std::optional<PlugIn> plug_in(const PlannedMember& member, std::uint16_t machine) {
  if (member.entry.path.find("glibc-hwcaps/") != std::string::npos || !has_elf_magic(member.source)) return {};
  try {
    ElfFile file(member.source);
    ElfInfo info = describe(file);
    if (machine == 0 || info.machine == machine) return PlugIn{std::move(file), std::move(info)};
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
  const bool own_libc = plan.info.requires_host.libc.has_value();
  std::uint16_t machine = start_up.empty() ? 0 : start_up.begin()->second.elf->machine;
  for (PlannedMember& member : plan.members) {
    if (member.entry.type != bundle::EntryType::kRegular || member.source.empty()) continue;
    PackedElf file{.path = member.entry.path};
    if (const auto known = start_up.find(member.entry.path); known != start_up.end()) {
      file.elf = known->second.elf;
      file.gates = !known->second.on_demand && !member.entry.vendor;
      kernels.push_back(kernels_of(ElfFile(member.source)));
    } else {
      if (member.entry.layer == "model" || (own_libc && member.entry.path.starts_with(kLibcFolder + std::string("/"))))
        continue;
      auto found = plug_in(member, machine);
      if (!found) continue;
      machine = found->info.machine;
      kernels.push_back(kernels_of(found->file));
      plug_ins.push_back(std::move(found->info));
      file.elf = &plug_ins.back();
    }
    file.kernels = &kernels.back();
    if (bundle::KernelCoverage targets = all_targets(kernels.back()); !targets.empty())
      member.entry.kernels = std::move(targets);
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
