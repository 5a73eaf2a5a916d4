#include "launcher/doctor/libcuda.h"

#include <nlohmann/json.hpp>

#include "launcher/doctor/elf_facts.h"
#include "launcher/doctor/library_search.h"
#include "launcher/doctor/version.h"

namespace holdall::launcher {
namespace {

bool is_below(const std::string& path, const std::string& folder) {
  return !folder.empty() && path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 &&
         path[folder.size()] == '/';
}

bool lies_in_bundle(const Host& host, const std::string& real) {
  for (std::size_t slash = real.rfind('/'); slash != 0 && slash != std::string::npos;
       slash = real.rfind('/', slash - 1))
    if (host.exists(real.substr(0, slash) + "/holdall/bundle.json")) return true;
  return false;
}

// Key names as NVIDIA's libraries of 12.9 and 13.2 have them.
std::optional<ForwardCompatibility> parse_compatibility(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return ForwardCompatibility{json.at("CUDA version"), json.value("driver", std::vector<int>{})};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

// Why the file cannot be the driver's library for this host; nullopt: it can, and `library` is completed.
std::optional<RejectedLibcuda> inspect(const bundle::FileDescriptor& file, const std::string& arch, Libcuda& library) {
  const auto reject = [&](const char* code, const std::string& why) {
    return RejectedLibcuda{library.path, code, why};
  };
  if (!file) return reject("E_LIBCUDA_MISSING", "cannot be read");
  const auto elf = read_elf(file.get());
  if (!elf) return reject("E_LIBCUDA_WRONG_CLASS", "not an ELF file");
  const std::string machine = machine_name(elf->machine);
  if (elf->bits != 64 || machine != arch)
    return reject("E_LIBCUDA_WRONG_CLASS", std::to_string(elf->bits) + "-bit " + machine + ", not 64-bit " + arch);
  library.glibc = newest(elf->needed_versions, "GLIBC_");
  library.compatibility = parse_compatibility(elf->forward_compatibility);
  const std::string name = library.real.substr(library.real.rfind('/') + 1);
  const std::string suffix = name.compare(0, 11, "libcuda.so.") == 0 ? name.substr(11) : "";
  // libcuda.so.1 is no version, and WSL's libcuda.so.1.1 is none of a driver either: those have three digits.
  if (const auto version = parse_version(suffix); version && version->parts.size() >= 2 && version->parts[0] >= 100)
    library.version = suffix;
  return std::nullopt;
}

}  // namespace

LibcudaSearch find_libcuda(const Host& host, const LibcudaOptions& options) {
  LibcudaSearch search;
  if (!options.given.empty()) {
    const Host here;
    Libcuda library{options.given, here.real_path(options.given).value_or(options.given), options.given, {}, {}, {}};
    if (auto rejected = inspect(here.open(options.given), options.arch, library))
      search.rejected.push_back(*rejected);
    else
      search.chosen = library;
    return search;
  }
  const auto store = options.store.empty() ? std::nullopt : Host().real_path(options.store);
  for (const std::string& path :
       find_library(host, "libcuda.so.1",
                    {"/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib64/nvidia", "/usr/lib/wsl/lib",
                     "/run/opengl-driver/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib",
                     "/usr/lib/aarch64-linux-gnu/tegra", "/usr/lib/aarch64-linux-gnu/nvidia"})) {
    const std::string real = host.real_path(path).value_or(path);
    Libcuda library{path, real, host.outside(real), {}, {}, {}};
    if (real.find("/stubs/") != std::string::npos) {
      search.rejected.push_back({path, "E_LIBCUDA_STUB", "the toolkit's stub, made for linking only"});
    } else if ((store && is_below(library.openable, *store)) || lies_in_bundle(host, real)) {
      search.rejected.push_back(
          {path, "E_LIBCUDA_BUNDLED", "lies in a bundle or store: the driver's must come from the host"});
    } else if (auto rejected = inspect(host.open(real), options.arch, library)) {
      search.rejected.push_back(*rejected);
    } else {
      search.chosen = library;
      break;
    }
  }
  return search;
}

}  // namespace holdall::launcher
