#include "packer/requirements.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <map>

#include "bundle/error.h"
#include "packer/library_kinds.h"

namespace holdall::packer {
namespace {

// The oldest driver that runs any toolkit of a CUDA major: NVIDIA, "CUDA Compatibility", minor version compatibility.
struct DriverFloor {
  int cuda_major;
  const char* driver;
};
constexpr std::array<DriverFloor, 3> kDriverFloors{{{11, "450.80.02"}, {12, "525.60.13"}, {13, "580.65.06"}}};

// The first driver of CUDA 12.4: older ones do not understand kernels that nvcc has compressed with zstd.
constexpr const char* kZstdDriver = "550.54.14";

std::string architecture(std::uint16_t machine) {
  if (machine == EM_X86_64) return "x86_64";
  if (machine == EM_AARCH64) return "aarch64";
  throw bundle::Error(bundle::ErrorKind::kCannotPack, "the programs are for an unknown processor (ELF machine " +
                                                          std::to_string(machine) + "): x86_64 and aarch64 are known");
}

// "GLIBC_2.34" and prefix "GLIBC_" → "2.34"; empty for a name that is no version, such as GLIBC_PRIVATE.
std::string version_of(const std::string& name, std::string_view prefix) {
  if (name == "GLIBC_ABI_DT_RELR" && prefix == "GLIBC_") return "2.36";  // a marker: packed relative relocations
  if (!name.starts_with(prefix)) return {};
  const std::string version = name.substr(prefix.size());
  return !version.empty() && version.find_first_not_of("0123456789.") == version.npos ? version : std::string();
}

bool is_of(std::string_view library, std::string_view family) {
  return family == "libc" ? is_glibc_library(library) : library.starts_with("libstdc++.so");
}

// Of the newest libcudart: its driver runs the older ones, too.
bundle::Floor cuda_runtime_floor(const std::vector<PackedElf>& files, int& major) {
  constexpr std::string_view kRuntime = "libcudart.so.";
  const PackedElf* newest = nullptr;
  for (const PackedElf& file : files) {
    const std::string name = file.elf->soname.value_or("");
    if (!name.starts_with(kRuntime)) continue;
    int version = 0;
    std::from_chars(name.data() + kRuntime.size(), name.data() + name.size(), version);
    if (newest == nullptr || version > major) newest = &file, major = version;
  }
  if (newest == nullptr) {
    throw bundle::Error(
        bundle::ErrorKind::kCannotPack,
        "the bundle is for CUDA and no libcudart is in it: list libtorch_cuda.so in dlopen, or set device to cpu");
  }
  const auto floor = std::ranges::find(kDriverFloors, major, &DriverFloor::cuda_major);
  if (floor == kDriverFloors.end()) {
    throw bundle::Error(bundle::ErrorKind::kCannotPack, "'" + newest->path + "' is of CUDA " + std::to_string(major) +
                                                            ", whose oldest driver is not known: CUDA 11 to 13 are");
  }
  return {.version = floor->driver, .from = newest->path, .why = "CUDA " + std::to_string(major) + ".x needs it"};
}

// What the driver must know to compile PTX: of the oldest ISA that is there.
std::string oldest_isa(const std::vector<std::string>& ptx) {
  std::string oldest;
  for (const std::string& target : ptx) {
    const std::string isa = target.substr(target.find('@') + 1);
    if (oldest.empty() || compare_versions(isa, oldest) < 0) oldest = isa;
  }
  return oldest;
}

bundle::CudaRequirement cuda_requirement(const std::vector<PackedElf>& files) {
  bundle::CudaRequirement result;
  result.driver = cuda_runtime_floor(files, result.major);
  const PackedElf* compressed = nullptr;  // preferably one that gates
  for (const PackedElf& file : files) {
    if (file.kernels == nullptr) continue;
    if (file.kernels->zstd && (compressed == nullptr || (file.gates && !compressed->gates))) compressed = &file;
    if (!file.gates || !file.kernels->fault.empty()) continue;
    bundle::KernelCoverage served = served_targets(*file.kernels);
    if (served.empty()) continue;
    if (served.cubin.empty()) {
      const std::string isa = oldest_isa(served.ptx);
      if (!result.ptx_isa || compare_versions(result.ptx_isa->version, isa) < 0) {
        result.ptx_isa = bundle::Floor{.version = isa, .from = file.path, .why = "it has PTX only"};
      }
    }
    result.coverage.emplace(file.path, std::move(served));
  }
  if (compressed != nullptr && compare_versions(result.driver.version, kZstdDriver) < 0) {
    result.driver = {.version = kZstdDriver, .from = compressed->path, .why = "it has zstd-compressed kernels"};
  }
  return result;
}

bundle::KernelCoverage targets(const Kernels& kernels, std::uint64_t at_least) {
  bundle::KernelCoverage result;
  const auto take = [&](const std::map<std::string, Kernels::Amount>& from, std::vector<std::string>& to) {
    for (const auto& [target, amount] : from) {
      if (amount.fatbins >= at_least) to.push_back(target);
    }
    std::ranges::stable_sort(to, {}, [](const std::string& target) { return std::atoi(target.c_str()); });
  };
  take(kernels.cubin, result.cubin);
  take(kernels.ptx, result.ptx);
  return result;
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const auto take = [](std::string_view& rest) {
      unsigned long value = 0;
      const std::size_t end = std::min(rest.find('.'), rest.size());
      std::from_chars(rest.data(), rest.data() + end, value);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      return value;
    };
    const unsigned long left = take(a), right = take(b);
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

std::vector<bundle::Floor> floors_of(const std::vector<PackedElf>& files, std::string_view library) {
  const std::string_view prefix = library == "libc" ? "GLIBC_" : "GLIBCXX_";
  std::vector<bundle::Floor> floors;
  for (const PackedElf& file : files) {
    bundle::Floor floor{.version = {}, .from = file.path, .why = "its symbol versions"};
    for (const NeededVersion& needed : file.elf->needed_versions) {
      if (!is_of(needed.library, library)) continue;
      const std::string version = version_of(needed.version, prefix);
      if (version.empty() || (!floor.version.empty() && compare_versions(version, floor.version) <= 0)) continue;
      floor.version = version;
      floor.why = needed.version == "GLIBC_ABI_DT_RELR" ? "it uses packed relative relocations" : "its symbol versions";
    }
    if (!floor.version.empty()) floors.push_back(std::move(floor));
  }
  std::ranges::stable_sort(floors, [](const bundle::Floor& a, const bundle::Floor& b) {
    return compare_versions(a.version, b.version) > 0;
  });
  return floors;
}

std::vector<bundle::Floor> cpu_levels_of(const std::vector<PackedElf>& files) {
  std::vector<bundle::Floor> levels;
  for (const PackedElf& file : files) {
    if (file.elf->x86_level <= 1) continue;
    levels.push_back({.version = std::to_string(file.elf->x86_level), .from = file.path, .why = "it is marked so"});
  }
  std::ranges::stable_sort(levels, std::greater(), &bundle::Floor::version);
  return levels;
}

bundle::KernelCoverage all_targets(const Kernels& kernels) {
  return targets(kernels, 0);
}

bundle::KernelCoverage served_targets(const Kernels& kernels) {
  bundle::KernelCoverage result = targets(kernels, (kernels.fatbins + 1) / 2);
  return result.empty() ? all_targets(kernels) : result;
}

bundle::Requirements derive_requirements(const std::vector<PackedElf>& files, Device device) {
  bundle::Requirements result;
  for (const PackedElf& file : files) {
    if (result.arch.empty()) result.arch = architecture(file.elf->machine);
    result.cpu_level = std::max(result.cpu_level, file.elf->x86_level);
  }
  const auto highest = [&](std::string_view library) -> std::optional<bundle::Floor> {
    const auto floors = floors_of(files, library);
    return floors.empty() ? std::nullopt : std::optional(floors.front());
  };
  result.glibc = highest("libc");
  const bool brings_libstdcxx = std::ranges::any_of(
      files, [](const PackedElf& file) { return is_of(file.elf->soname.value_or(""), "libstdc++"); });
  if (!brings_libstdcxx) result.libstdcxx = highest("libstdc++");
  if (device == Device::kCuda) result.cuda = cuda_requirement(files);
  return result;
}

}  // namespace holdall::packer
