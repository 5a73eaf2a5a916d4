#include "launcher/trusted_keys.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "bundle/error.h"
#include "launcher/disk.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::size_t kLargestKey = 4096;
constexpr std::string_view kSuffix = ".pub";

// Whoever may write here says whom this user trusts.
void check_owner(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw bundle::system_error(errno, "stat", path);
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    throw Error(ErrorKind::kStorage, "cannot trust the keys in '" + path + "': it belongs to user " +
                                         std::to_string(status.st_uid) + ", needed is user " +
                                         std::to_string(::geteuid()) + ": run chown");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw Error(ErrorKind::kStorage,
                "cannot trust the keys in '" + path + "': others may write to it: run chmod go-w '" + path + "'");
}

}  // namespace

std::string trusted_keys_folder() {
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (const std::string config = variable("XDG_CONFIG_HOME"); config.starts_with('/')) return config + "/holdall/keys";
  if (const std::string home = variable("HOME"); home.starts_with('/')) return home + "/.config/holdall/keys";
  return {};
}

std::vector<TrustedKey> trusted_keys() {
  std::vector<TrustedKey> keys;
  const std::string folder = trusted_keys_folder();
  if (folder.empty()) return keys;
  for (const std::string& name : names_in({AT_FDCWD, folder})) {
    if (!name.ends_with(kSuffix)) continue;
    if (keys.empty()) check_owner(folder);
    const std::string path = folder + "/" + name;
    check_owner(path);
    keys.push_back({path, bundle::parse_public_key(read_named(path, kLargestKey), path)});
  }
  return keys;
}

}  // namespace holdall::launcher
