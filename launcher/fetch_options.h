// Options of every command that may fetch.
#pragma once

#include "launcher/fetch/remote_archive.h"

namespace CLI {
class App;
}

namespace holdall::launcher {

// Declares --header, --mirror, --cacert and --stall-timeout.
void add_fetch_options(CLI::App& command, FetchOptions& options);

}  // namespace holdall::launcher
