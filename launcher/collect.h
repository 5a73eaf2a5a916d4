// gc: which releases nobody needs any more, and their removal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/store.h"

namespace holdall::launcher {

struct CollectOptions {
  std::size_t keep = 3;  // releases of so many last generations stay
  bool unused = false;   // also releases that were never activated
  bool dry_run = false;
};

struct Collected {
  std::string release;
  std::uint64_t bytes = 0;
};

// Removes every release that is not current, good, on trial, among the last `keep` generations' or leased, with its
// generations. A lease is looked at, not waited for.
std::vector<Collected> collect(Store& store, const StoreLock& lock, const CollectOptions& options);

}  // namespace holdall::launcher
