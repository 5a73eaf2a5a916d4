// Options that every command shares, and the store that they name.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launcher/doctor.h"
#include "launcher/store.h"

namespace CLI {
class App;
}

namespace holdall::launcher {

enum class Verbosity { kQuiet, kNormal, kVerbose };

struct CommonOptions {
  std::string root;  // parent of the stores; empty: default_root()
  std::string name;  // of the service; empty: the bundle's, or the only one that is installed
  bool json = false;
  Verbosity verbosity = Verbosity::kNormal;
  double lock_timeout_seconds = 10;
  bool allow_network_filesystem = false;

  std::string store_root() const { return root.empty() ? default_root() : root; }
  std::chrono::milliseconds lock_timeout() const;
  Store::OpenOptions open_options() const;
};

// Declares --root, --name, --json, -q, -v, --lock-timeout and --allow-network-filesystem. `options` must live until the
// command line has been parsed and the command's callback has run.
void add_common_options(CLI::App& command, CommonOptions& options);

// Declares --libc.
void add_libc_option(CLI::App& command, LibcWish& wish);

// The services that have a store below the root, sorted.
std::vector<std::string> installed_names(const CommonOptions& options);

// The store that --name names or, without it, the only one there is or the only one that holds `release` (may be
// empty). Throws Error{kNotFound} if there is none, Error{kUsage} listing the names if there are several.
Store open_installed(const CommonOptions& options, const std::string& release = {});

}  // namespace holdall::launcher
