// state/min_version.<bundle>: below which version no signed release of that bundle enters the store. It outlives the
// release that set it. What is installed stays within reach: use and rollback do not ask.
#pragma once

#include <string>

#include "bundle/release.h"
#include "launcher/store.h"

namespace holdall::launcher {

// Throws Error{kTrust} if `release` is below the floor, Error{kStorage} if the floor cannot be read.
void require_version_floor(const Store& store, const StoreLock& held, const bundle::Release& release);

// Raises the floor of `bundle` to `min_version` (empty: none); never lowers it. Durable when it returns.
void raise_version_floor(const Store& store, const StoreLock& held, const std::string& bundle,
                         const std::string& min_version);

}  // namespace holdall::launcher
