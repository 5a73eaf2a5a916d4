// Asks the driver itself, in a child: holdall-probe loads libcuda, initialises it and lists the devices. A driver that
// crashes or hangs takes only the child with it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/doctor.h"

namespace holdall::launcher {

struct ProbeOptions {
  std::string libcuda;  // as this process sees it
  std::chrono::milliseconds timeout{30'000};
  std::map<std::string, std::string> environment;  // of the child; LD_LIBRARY_PATH and LD_PRELOAD are dropped
  // Where the program may be written if it cannot run from memory, in this order.
  std::vector<std::string> folders;
  enum class Memory { kUse, kAvoid } memory = Memory::kUse;
};

struct ProbeResult {
  enum class End { kFinished, kCrashed, kTimedOut, kNotRun };
  End end = End::kNotRun;
  std::string detail;                     // of a crash: the signal or exit status; of kNotRun: why
  std::string stage;                      // of a crash or timeout: what it was doing, e.g. "cuInit"
  std::optional<std::string> load_error;  // dlopen's words
  std::optional<int> cuda_version;        // 12020 is 12.2
  std::string failed_call;                // the first driver call that failed, and its CUresult
  int failed_result = 0;
  std::vector<Device> devices;

  bool initialised() const { return end == End::kFinished && !load_error && failed_call.empty(); }
};

// Blocks until the child ends or its time is up; it is killed then, with what it started. Throws nothing.
ProbeResult run_probe(const ProbeOptions& options);

}  // namespace holdall::launcher
