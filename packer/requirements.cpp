#include "packer/requirements.h"

#include <algorithm>
#include <array>
#include <charconv>

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

std::string architecture(std::uint16_t machine) {
  if (machine == EM_X86_64) return "x86_64";
  if (machine == EM_AARCH64) return "aarch64";
  throw bundle::Error(bundle::ErrorKind::kCannotPack, "the programs are for an unknown processor (ELF machine " +
                                                          std::to_string(machine) + "): x86_64 and aarch64 are known");
}

// "GLIBC_2.34" → "2.34"; empty for a name that is no version, such as GLIBC_PRIVATE.
std::string glibc_version(const std::string& name) {
  if (name == "GLIBC_ABI_DT_RELR") return "2.36";  // a marker: packed relative relocations, since that version
  constexpr std::string_view kPrefix = "GLIBC_";
  if (!name.starts_with(kPrefix)) return {};
  const std::string version = name.substr(kPrefix.size());
  return !version.empty() && version.find_first_not_of("0123456789.") == version.npos ? version : std::string();
}

std::optional<bundle::CudaRequirement> cuda_requirement(const std::vector<PackedElf>& files) {
  constexpr std::string_view kRuntime = "libcudart.so.";
  for (const auto& [path, elf] : files) {
    const std::string name = elf->soname.value_or("");
    if (!name.starts_with(kRuntime)) continue;
    int major = 0;
    std::from_chars(name.data() + kRuntime.size(), name.data() + name.size(), major);
    const auto floor = std::ranges::find(kDriverFloors, major, &DriverFloor::cuda_major);
    if (floor == kDriverFloors.end()) {
      throw bundle::Error(bundle::ErrorKind::kCannotPack, "'" + path + "' is of CUDA " + std::to_string(major) +
                                                              ", whose oldest driver is not known: CUDA 11 to 13 are");
    }
    return bundle::CudaRequirement{
        .major = major,
        .driver = {.version = floor->driver, .from = path, .why = "CUDA " + std::to_string(major) + ".x needs it"},
        .ptx_isa = std::nullopt,
        .coverage = {}};
  }
  throw bundle::Error(
      bundle::ErrorKind::kCannotPack,
      "the bundle is for CUDA and no libcudart is in it: list libtorch_cuda.so in dlopen, or set device to cpu");
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

bundle::Requirements derive_requirements(const std::vector<PackedElf>& files, Device device) {
  bundle::Requirements result;
  for (const auto& [path, elf] : files) {
    if (result.arch.empty()) result.arch = architecture(elf->machine);
    result.cpu_level = std::max(result.cpu_level, elf->x86_level);
    for (const NeededVersion& needed : elf->needed_versions) {
      if (!is_glibc_library(needed.library)) continue;
      const std::string version = glibc_version(needed.version);
      if (version.empty() || (result.glibc && compare_versions(version, result.glibc->version) <= 0)) continue;
      result.glibc = bundle::Floor{.version = version, .from = path, .why = "its symbol versions"};
      if (needed.version == "GLIBC_ABI_DT_RELR") result.glibc->why = "it uses packed relative relocations";
    }
  }
  if (device == Device::kCuda) result.cuda = cuda_requirement(files);
  return result;
}

}  // namespace holdall::packer
