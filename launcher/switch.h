// A switch to another release: through the supervisor when one runs, else on the store alone.
#pragma once

#include <optional>
#include <string>

#include "launcher/options.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {

struct Switched {
  Generation generation;
  bool running = false;  // a service was swapped behind its gate
  double switch_milliseconds = 0;
};

// Activates `release`; when it is current already nothing happens. `lock` is given up first if a supervisor runs,
// because the supervisor takes it itself. With a canary a service has to run. Throws Error{kUsage} if none does, and
// Error{kNotFound} for an unknown release, Error{kStorage} for a damaged one, Error{kNotReady} when the service went
// back.
Switched switch_to(Store& store, std::optional<StoreLock> lock, const std::string& release,
                   const CommonOptions& options, const std::optional<CanaryTerms>& canary = std::nullopt);

// Throws Error{kStorage} naming the first fault. `hash_all`: reads every byte.
void require_whole(const Store& store, const std::string& release, bool hash_all);

// The release's id, or with --json an object.
void print(const Switched& switched, const CommonOptions& options);

}  // namespace holdall::launcher
