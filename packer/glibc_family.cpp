#include "packer/glibc_family.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "bundle/error.h"
#include "packer/elf_file.h"
#include "packer/library_kinds.h"
#include "packer/requirements.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kMaxVersions = 1 << 12;  // that libc.so.6 defines; 2.36 has 41

bool is_loader(std::string_view name) {
  return name.starts_with("ld-linux") || name.starts_with("ld64.so");
}

// Of the family, what a program at run time may come to need: no debugging aids, no links for the linker, and only the
// name services that glibc itself brings.
bool belongs(std::string_view name) {
  if (!is_glibc_library(name)) return false;
  if (is_loader(name)) return true;
  static constexpr std::array<std::string_view, 3> kServices{"libnss_files.so.2", "libnss_dns.so.2",
                                                             "libnss_compat.so.2"};
  if (name.starts_with("libnss_")) return std::ranges::find(kServices, name) != kServices.end();
  return name.find(".so.") != name.npos && !name.starts_with("libthread_db");
}

std::optional<ElfFile> open_library(const std::string& path, std::uint16_t machine) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored) || !has_elf_magic(path)) return std::nullopt;
  try {
    ElfFile file(path);
    return file.machine() == machine ? std::optional(std::move(file)) : std::nullopt;
  } catch (const bundle::Error&) {
    return std::nullopt;  // of another class
  }
}

// The newest "GLIBC_x.y" of DT_VERDEF.
std::string defined_version(const ElfFile& libc) {
  std::string newest;
  const auto table = libc.entry(DT_VERDEF);
  if (!table) return newest;
  std::uint64_t at = table->value;
  for (unsigned i = 0; i < kMaxVersions; ++i) {
    const auto definition = libc.read_as<Elf64_Verdef>(libc.offset_of(at, sizeof(Elf64_Verdef)));
    const auto name = libc.read_as<Elf64_Verdaux>(libc.offset_of(at + definition.vd_aux, sizeof(Elf64_Verdaux)));
    const std::string version = libc.string_at(name.vda_name);
    constexpr std::string_view kPrefix = "GLIBC_";
    if (version.starts_with(kPrefix) && version.find_first_not_of("0123456789.", kPrefix.size()) == version.npos &&
        (newest.empty() || compare_versions(version.substr(kPrefix.size()), newest) > 0)) {
      newest = version.substr(kPrefix.size());
    }
    if (definition.vd_next == 0) break;
    at += definition.vd_next;
  }
  return newest;
}

}  // namespace

Glibc find_glibc(const std::vector<std::string>& system_folders, std::uint16_t machine) {
  const auto fail = [](const std::string& why) {
    throw bundle::Error(bundle::ErrorKind::kCannotPack, "the manifest asks for \"libc\": \"bundled\": " + why);
  };
  for (const std::string& folder : system_folders) {
    const auto libc = open_library(folder + "/libc.so.6", machine);
    if (!libc) continue;
    Glibc result;
    result.version = defined_version(*libc);
    for (const std::string& name : libc->strings(DT_NEEDED)) {
      if (is_loader(name)) result.interpreter = name;
    }
    for (const fs::directory_entry& item : fs::directory_iterator(folder)) {
      const std::string name = item.path().filename().string();
      if (belongs(name) && open_library(item.path(), machine)) {
        result.files.push_back({name, fs::canonical(item.path()).string()});
      }
    }
    std::ranges::sort(result.files, {}, &GlibcFile::name);
    if (result.version.empty()) fail("'" + folder + "/libc.so.6' does not say its version");
    if (std::ranges::find(result.files, result.interpreter, &GlibcFile::name) == result.files.end()) {
      fail("the loader of '" + folder + "/libc.so.6' does not lie beside it");
    }
    return result;
  }
  fail("no libc.so.6 for the programs' processor in the system's folders: install libc6");
  return {};
}

}  // namespace holdall::packer
