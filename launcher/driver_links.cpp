#include "launcher/driver_links.h"

#include <sys/utsname.h>

#include <filesystem>

#include "bundle/error.h"
#include "bundle/temporary_name.h"
#include "launcher/disk.h"
#include "launcher/doctor/libcuda.h"
#include "launcher/doctor/library_search.h"

namespace holdall::launcher {
namespace {

// What libcuda loads, and what programs ask besides (NVML); libnvidia-gpucomp carries the driver's version in its name.
constexpr const char* kNames[] = {"libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4",
                                  "libcudadebugger.so.1"};
constexpr std::string_view kCompiler = "libnvidia-gpucomp.so.";

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

bool is_as(const std::string& folder, const std::map<std::string, std::string>& links) {
  std::error_code none;
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const auto link = links.find(entry.path().filename());
    if (link == links.end() || std::filesystem::read_symlink(entry.path(), none) != link->second) return false;
    ++found;
  }
  return found == links.size();
}

void make(const Store& store, const Place& place, const std::map<std::string, std::string>& links) {
  const bundle::FileDescriptor staging = open_folder({store.directory_fd(), "staging"});
  const Place made{staging.get(), "driver." + bundle::random_name()};
  store.disk().make_folder(made, 0700);
  const bundle::FileDescriptor folder = open_folder(made);
  for (const auto& [name, target] : links) store.disk().make_link(target, {folder.get(), name});
  if (exists(place))
    store.disk().exchange(made, place);
  else
    store.disk().rename_new(made, place);
  store.disk().remove_tree(made);
}

}  // namespace

std::map<std::string, std::string> driver_libraries(const Host& host, const std::string& libcuda) {
  std::map<std::string, std::string> links;
  const std::string real = host.real_path(libcuda).value_or(libcuda), folder = folder_of(real);
  links["libcuda.so.1"] = real;
  const auto link = [&](const std::string& name, const std::string& path) {
    if (const auto found = host.real_path(path)) links.emplace(name, *found);
  };
  for (const char* name : kNames) {
    link(name, folder + "/" + name);
    link(name, folder_of(libcuda) + "/" + name);
    for (const std::string& path : find_library(host, name)) link(name, path);
  }
  for (const std::string& name : host.list(folder))
    if (name.starts_with(kCompiler)) link(name, folder + "/" + name);
  return links;
}

std::string link_driver(const Store& store, const std::string& given) {
  utsname machine{};
  ::uname(&machine);
  const Host host;
  const auto libcuda = find_libcuda(host, {given, folder_of(store.path()), machine.machine}).chosen;
  if (!libcuda) return {};
  const auto links = driver_libraries(host, libcuda->path);
  const std::string folder = store.path() + "/driver";
  // Recovery by another command may take what is being made.
  for (int attempt = 0; attempt < 3 && !is_as(folder, links); ++attempt) try {
      make(store, {store.directory_fd(), "driver"}, links);
    } catch (const bundle::Error&) {
    }
  return is_as(folder, links) ? folder : std::string();
}

}  // namespace holdall::launcher
