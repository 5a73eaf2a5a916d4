// Where a host's loader finds a library: its cache first, then the folders that distributions use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launcher/host.h"

namespace holdall::launcher {

// The files that /etc/ld.so.cache lists for a name, in its order. Format glibc-ld.so.cache1.1, alone or behind the
// older one; untrusted bytes: an entry that is out of range is left out, any other format gives nothing.
std::vector<std::string> cached_libraries(std::string_view cache, std::string_view name);

// Existing files of that name, each real file once: cache, the distributions' folders, then `more_folders`.
std::vector<std::string> find_library(const Host& host, const std::string& name,
                                      const std::vector<std::string>& more_folders = {});

}  // namespace holdall::launcher
