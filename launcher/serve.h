// The part that `run` and `start` share: the supervisor in the foreground or background, told to people on stderr.
#pragma once

#include "launcher/options.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {

enum class Ground { kForeground, kBackground };

// Supervises; the URL goes to stdout once the service is ready (status JSON with --json). The command's exit code.
// Throws as supervise() and supervise_detached() do.
int serve(Store& store, const ServiceOptions& service, const CommonOptions& common, Ground ground);

}  // namespace holdall::launcher
