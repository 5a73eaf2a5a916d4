// The service as a whole: sockets, probes, one worker, the queue, and what happens to them from start to drain.
#pragma once

#include "runtime/service/options.h"

namespace holdall::runtime::service {

// Serves until SIGTERM or SIGINT; call it on the process's first thread, once. Returns the exit code: 0 after a drain
// that SIGTERM asked for, 130 after SIGINT's; a second signal aborts with 143 or 130. Throws runtime::Error if it
// cannot start: a port in use, a missing worker, or the worker's own reason (a bad model).
int serve(const Options& options);

}  // namespace holdall::runtime::service
