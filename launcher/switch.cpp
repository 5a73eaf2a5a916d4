#include "launcher/switch.h"

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

bool supervisor_runs(const Store& store) {
  try {
    return ask_supervisor(store, R"({"command":"status"})", std::chrono::seconds(1)).has_value();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kNotReady) return true;  // there, but busy
    throw;
  }
}

Switched activate(Store& store, const StoreLock& lock, const std::string& release) {
  if (const auto current = store.current(); current && current->release == release) return {.generation = *current};
  const auto start = std::chrono::steady_clock::now();
  Switched switched{.generation = store.activate(lock, release)};
  switched.switch_milliseconds =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return switched;
}

}  // namespace

void require_whole(const Store& store, const std::string& release, bool hash_all) {
  const auto faults = store.check_release(release, hash_all);
  if (!faults.empty())
    throw Error(ErrorKind::kStorage, "release '" + release + "' is damaged: " + faults.front() + ": install it again");
}

Switched switch_to(Store& store, std::optional<StoreLock> lock, const std::string& release,
                   const CommonOptions& options, const std::optional<CanaryTerms>& canary) {
  // The supervisor takes the lock itself. Until it has it, or we have it again because the supervisor went away, the
  // lease keeps a gc from what was just installed.
  FileDescriptor lease;
  if (supervisor_runs(store)) {
    lease = store.lease(release);
    lock.reset();
    if (const auto report = use_running(store, release, canary))
      return {.generation = report->generation, .running = true, .switch_milliseconds = report->switch_milliseconds};
  }
  if (canary)
    throw Error(ErrorKind::kUsage,
                "cannot try '" + release + "' as a canary: the service does not run: start it, or leave out --canary");
  if (!lock) lock.emplace(store.lock(options.lock_timeout()));
  return activate(store, *lock, release);
}

void print(const Switched& switched, const CommonOptions& options) {
  if (!options.json) {
    std::cout << switched.generation.release << '\n';
    return;
  }
  const nlohmann::ordered_json result{{"release", switched.generation.release},
                                      {"generation", switched.generation.number},
                                      {"running", switched.running},
                                      {"switch_milliseconds", switched.switch_milliseconds}};
  std::cout << result.dump(2) << '\n';
}

}  // namespace holdall::launcher
