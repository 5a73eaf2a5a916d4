#include "launcher/options.h"

#include <dirent.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool holds(const std::string& root, const std::string& name, const std::string& release) {
  struct stat status {};
  return ::stat((root + "/" + name + "/releases/" + release).c_str(), &status) == 0;
}

}  // namespace

std::chrono::milliseconds CommonOptions::lock_timeout() const {
  return std::chrono::milliseconds(static_cast<std::int64_t>(lock_timeout_seconds * 1000));
}

Store::OpenOptions CommonOptions::open_options() const {
  Store::OpenOptions how;
  how.allow_network_filesystem = allow_network_filesystem;
  return how;
}

void add_common_options(CLI::App& command, CommonOptions& options) {
  command.add_option("--root", options.root, "folder of the stores, one per service [$XDG_DATA_HOME/holdall]");
  command.add_option("--name", options.name, "service to work on [the bundle's name, or the only one installed]");
  command.add_flag("--json", options.json, "result as JSON");
  command.add_flag_callback(
      "-q,--quiet", [&options] { options.verbosity = Verbosity::kQuiet; }, "errors only");
  command.add_option("--lock-timeout", options.lock_timeout_seconds, "seconds to wait for another holdall [10]")
      ->check(CLI::Range(0.0, 86400.0));
  command.add_flag("--allow-network-filesystem", options.allow_network_filesystem, "let the store lie on NFS or SMB");
}

void add_libc_option(CLI::App& command, LibcWish& wish) {
  command
      .add_option("--libc", wish,
                  "the C library to run on: host, bundled (the bundle's own), or auto: the host's if it is new enough "
                  "[auto]")
      ->transform(CLI::CheckedTransformer(std::map<std::string, LibcWish>{
          {"auto", LibcWish::kAuto}, {"host", LibcWish::kHost}, {"bundled", LibcWish::kBundled}}))
      ->option_text("auto|host|bundled");
}

std::vector<std::string> installed_names(const CommonOptions& options) {
  const std::string root = options.store_root();
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(root.c_str()), &::closedir);
  if (!folder) return names;
  while (const dirent* item = ::readdir(folder.get())) {
    const std::string name = item->d_name;
    struct stat status {};
    if (name != "." && name != ".." && ::stat((root + "/" + name + "/lock").c_str(), &status) == 0)
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Store open_installed(const CommonOptions& options, const std::string& release) {
  const std::string root = options.store_root();
  const Store::OpenOptions how = options.open_options();
  if (!options.name.empty()) return Store::open(root, options.name, how);

  std::vector<std::string> names = installed_names(options);
  if (names.empty()) throw Error(ErrorKind::kNotFound, "nothing is installed in '" + root + "'");
  if (names.size() > 1 && !release.empty()) {
    std::vector<std::string> holders;
    std::copy_if(names.begin(), names.end(), std::back_inserter(holders),
                 [&](const std::string& name) { return holds(root, name, release); });
    if (holders.empty()) throw Error(ErrorKind::kNotFound, "no release '" + release + "' in '" + root + "'");
    names = holders;
  }
  if (names.size() > 1)
    throw Error(ErrorKind::kUsage, "several services in '" + root + "': choose one with --name: " + joined(names));
  return Store::open(root, names.front(), how);
}

}  // namespace holdall::launcher
