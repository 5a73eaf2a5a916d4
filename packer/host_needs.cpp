#include "packer/host_needs.h"

#include <optional>
#include <utility>
#include <vector>

#include "bundle/error.h"
#include "packer/fatbin.h"
#include "packer/glibc_family.h"
#include "packer/in_parallel.h"
#include "packer/packed_file.h"
#include "packer/requirements.h"

namespace holdall::packer {
namespace {

using StartUp = std::map<std::string, StartUpElf>;

// A file that something of the host's must suit.
struct Candidate {
  PlannedMember* member = nullptr;
  const StartUpElf* start_up = nullptr;  // or nothing: it may be loaded by something
  std::optional<ElfInfo> plug_in{};
  Kernels kernels{};
};

// Variants for newer processors are for those who have one; an own libc is never the host's affair.
bool may_count(const PackPlan& plan, const PlannedMember& member) {
  return member.entry.layer != "model" && member.entry.path.find("glibc-hwcaps/") == std::string::npos &&
         !(plan.info.requires_host.libc && member.entry.path.starts_with(kLibcFolder + std::string("/")));
}

std::vector<Candidate> candidates(PackPlan& plan, const StartUp& start_up) {
  std::vector<Candidate> result;
  for (PlannedMember& member : plan.members) {
    if (member.entry.type != bundle::EntryType::kRegular || member.source.empty()) continue;
    const auto known = start_up.find(member.entry.path);
    if (known != start_up.end())
      result.push_back({.member = &member, .start_up = &known->second});
    else if (may_count(plan, member) && member.magic != ElfMagic::kAbsent)
      result.push_back({.member = &member});
  }
  return result;
}

// No ELF, an object file, one of another class: bytes like others.
void examine(Candidate& candidate) {
  const std::string source = candidate.member->source;
  if (candidate.start_up != nullptr) {
    candidate.kernels = kernels_of(ElfFile(source));
    return;
  }
  const bool elf = is_elf(*candidate.member);
  candidate.member->magic = elf ? ElfMagic::kPresent : ElfMagic::kAbsent;  // so that nobody looks again
  if (!elf) return;
  std::optional<ElfFile> file;
  try {
    file.emplace(source);
    candidate.plug_in = describe(*file);
  } catch (const bundle::Error&) {
    return;
  }
  candidate.kernels = kernels_of(*file);
}

}  // namespace

void derive_host_needs(PackPlan& plan, const StartUp& start_up, const HostNeedsOptions& options) {
  std::vector<Candidate> found = candidates(plan, start_up);
  in_parallel(found.size(), options.threads, [&](std::size_t i) {
    if (options.check) options.check();
    examine(found[i]);
  });
  std::vector<PackedElf> files;
  std::uint16_t machine = start_up.empty() ? 0 : start_up.begin()->second.elf->machine;
  for (const Candidate& candidate : found) {
    PlannedMember& member = *candidate.member;
    PackedElf file{.path = member.entry.path};
    if (candidate.start_up != nullptr) {
      file.elf = candidate.start_up->elf;
      file.gates = !candidate.start_up->on_demand && !member.entry.vendor;
    } else if (candidate.plug_in && (machine == 0 || candidate.plug_in->machine == machine)) {
      file.elf = &*candidate.plug_in;
      machine = file.elf->machine;
    } else {
      continue;
    }
    file.kernels = &candidate.kernels;
    if (bundle::KernelCoverage targets = all_targets(candidate.kernels); !targets.empty())
      member.entry.kernels = std::move(targets);
    if (!candidate.kernels.fault.empty()) {
      plan.warnings.push_back("the kernels of '" + member.source + "' cannot be read: " + candidate.kernels.fault);
    }
    files.push_back(file);
  }
  const bundle::Requirements derived = derive_requirements(files, options.device);
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
