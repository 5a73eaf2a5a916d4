// Collected inputs as a plan: each member made relocatable, folders, order, totals.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "packer/inputs/collection.h"
#include "packer/plan.h"
#include "packer/relocation/shebang.h"

namespace holdall::packer {

struct EnvironmentOptions {
  std::string name, version;     // of the bundle
  std::string dest_prefix = {};  // absolute: written in the build prefix's place at once; empty: relocatable
  Libc libc = Libc::kHost;       // kBundled: not with a dest_prefix, where nothing is left to be chosen
  Slimming slimming = Slimming::kNone;
  std::string launcher = {};  // the program `holdall`, to go with it as bin/holdall and bin/conda-unpack; empty: none
  ShebangForm shebang = ShebangForm::kRelative;
  std::int64_t mtime = 0;            // of every member, seconds
  unsigned threads = 0;              // 0: all processors
  Remembered* remembered = nullptr;  // what need not be read again; or nothing
};

// Reads every file once. Throws Error{kCannotPack, kStorage}, Error{kInternal} for a file that has changed since it was
// collected. `check` is called from all threads while that goes on and
// may throw to cancel.
PackPlan plan_environment(Collection collection, const EnvironmentOptions& options, const BuildMachine& machine,
                          const std::function<void()>& check = {});

}  // namespace holdall::packer
