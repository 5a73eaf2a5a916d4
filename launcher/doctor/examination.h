// What every check of the doctor is given, and the checks themselves in the order in which they are made.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/doctor.h"
#include "launcher/host.h"

namespace holdall::launcher {

// The C library that programs of a host run on.
struct HostLibc {
  std::optional<std::string> version, source;  // "2.36", "/usr/lib/x86_64-linux-gnu/libc.so.6"
  std::optional<std::string> arch;             // of the file
};

struct Examination {
  const Host& host;
  const bundle::BundleInfo* info;  // null: the host alone
  const DoctorOptions& options;
  std::map<std::string, std::string> environment;
  std::string arch;  // of the host; the launcher's own if a captured host does not tell
  HostLibc libc;
  bundle::LibcChoice libc_choice = bundle::LibcChoice::kHost;

  std::optional<std::string> host_glibc() const;  // its version, or what CONDA_OVERRIDE_GLIBC says
  std::optional<std::string> used_glibc() const;  // that the bundle's programs meet
  std::optional<std::string> variable(const std::string& name) const;
};

HostLibc observe_libc(const Host& host, const std::string& preferred_arch);

// Architecture, CPU level, glibc, libstdc++, page size, memory, open files.
std::vector<Check> check_machine(const Examination& examination);

// Free space, free inodes, noexec mount and network filesystem below options.root; one skip for a captured host.
std::vector<Check> check_storage(const Examination& examination);

// May a store lie on a filesystem of this f_type (statfs(2))?
Check judge_filesystem(std::uint32_t type, const DoctorOptions& options);

// GPU, kernel module, device nodes, driver, libcuda and what the probe says. `devices` gets what the driver lists.
std::vector<Check> check_gpus(const Examination& examination, std::vector<Device>& devices);

// "1.5 GiB"
std::string format_bytes(std::uint64_t bytes);

}  // namespace holdall::launcher
