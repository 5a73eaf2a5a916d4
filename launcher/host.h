// The host that the doctor examines: this machine, or a captured one (a folder that stands for its root). The one way
// in which the doctor reads a host's files, so that everything it judges can be tested without the hardware.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

struct FileStatus {
  mode_t mode = 0;
  uid_t owner = 0;
  gid_t group = 0;
  std::uint64_t size = 0;
};

// Paths are absolute, as the host itself sees them; symbolic links are followed inside the host, never out of it, and
// ".." stops at its root. Nothing throws for what the host holds: absence, loops and denied access are answers.
class Host {
 public:
  // Empty or "/": this machine. Otherwise the folder below which every path is looked up.
  explicit Host(const std::string& sysroot = "");

  bool captured() const { return !prefix_.empty(); }

  // The path without links; nullopt if it does not exist, runs in a circle or may not be searched.
  std::optional<std::string> real_path(const std::string& path) const;

  // Where a link-free path of the host lies for this process.
  std::string outside(const std::string& path) const { return prefix_ + path; }

  bool exists(const std::string& path) const { return real_path(path).has_value(); }
  std::optional<FileStatus> status(const std::string& path) const;

  // At most `limit` first bytes of a regular file; nullopt if it cannot be read. Never blocks on a FIFO or device.
  std::optional<std::string> read(const std::string& path, std::size_t limit = 64 * 1024) const;

  // An open regular file, or an empty descriptor.
  bundle::FileDescriptor open(const std::string& path) const;

  // Sorted names without "." and ".."; empty if there is no such folder.
  std::vector<std::string> list(const std::string& path) const;

  // The last component of a symbolic link's target, as sysfs names drivers: "nvidia" for …/0000:01:00.0/driver.
  std::optional<std::string> link_name(const std::string& path) const;

  // errno of opening a device node for reading and writing; 0 if that works.
  int open_error(const std::string& path) const;

 private:
  std::string prefix_;
};

}  // namespace holdall::launcher
