// holdall-pack --report: what makes a bundle big, and what it asks of a host. Sizes are those before compression.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "packer/plan.h"

namespace holdall::packer {

struct Share {
  std::string name;
  std::uint64_t files = 0, bytes = 0;
};

struct Duplicate {
  std::uint64_t bytes = 0;         // of each
  std::vector<std::string> paths;  // two or more, sorted
};

struct PackReport {
  Share total;
  std::vector<Share> layers;          // in the archive's order
  std::vector<Share> packages;        // the largest first; "" for files of no package
  std::vector<Share> biggest;         // ten files, the largest first
  std::vector<Duplicate> duplicates;  // files of 4 KiB and more with the same input; what costs most first
  std::uint64_t duplicate_bytes = 0;  // that would be saved if each was there once
};

// Reads the contents of files of the same size, on `threads` threads (0: all processors). `check` is called from all of
// them and may throw to cancel.
PackReport make_report(const PackPlan& plan, unsigned threads = 0, const std::function<void()>& check = {});

// With the plan's floors, kernels and slim rules. `slimming`: whether the rules have dropped or would drop.
std::string to_text(const PackReport& report, const PackPlan& plan, Slimming slimming);
std::string to_json(const PackReport& report, const PackPlan& plan, Slimming slimming);

}  // namespace holdall::packer
