// Runs holdall-probe, the only program of ours that loads a library of the driver, in a child with a deadline. A driver
// that crashes or hangs takes only the child with it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace holdall::launcher {

struct ProbeOptions {
  std::string library;  // to load, as this process sees it
  std::chrono::milliseconds timeout{30'000};
  std::map<std::string, std::string> environment;  // of the child; LD_LIBRARY_PATH and LD_PRELOAD are dropped
  // Where the program may be written if it cannot run from memory, in this order.
  std::vector<std::string> folders;
  enum class Memory { kUse, kAvoid } memory = Memory::kUse;
};

struct ProbeRun {
  enum class End { kFinished, kCrashed, kTimedOut, kNotRun };
  End end = End::kNotRun;
  std::string detail;  // of a crash: the signal or exit status; of kNotRun: why
};

// Blocks until the child ends or its time is up; it is killed then, with what it started. `line` gets each object that
// it said, in order, also those before a crash; a json::exception of it is a line that is not ours. Throws nothing.
ProbeRun run_probe(const std::string& mode, const ProbeOptions& options,
                   const std::function<void(const nlohmann::json&)>& line);

}  // namespace holdall::launcher
