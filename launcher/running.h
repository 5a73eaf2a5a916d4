// What a running service has loaded that is not of its release: `holdall doctor --running`.
#pragma once

#include <sys/types.h>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/relocation.h"
#include "launcher/doctor.h"

namespace holdall::launcher {

// The files whose code a process has mapped, from the text of /proc/PID/maps (proc(5)): each once, in order. What has
// no name, or was deleted, is none.
std::vector<std::string> mapped_programs(std::string_view maps);

// Whether a file is of the NVIDIA driver, or of glibc, by its name.
bool is_of_driver(const std::string& path);
bool is_of_glibc(const std::string& path);

// Judges the process and all below it. `store`: the store's folder, whose files are the service's own. The driver's
// libraries must come from the host; so may glibc's, for a release that runs on the host's. All others are a warning.
std::vector<Check> check_running(pid_t service, const std::string& store, bundle::LibcChoice libc);

}  // namespace holdall::launcher
