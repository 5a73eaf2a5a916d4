// Keeps one service running: holds its sockets, starts it, waits for its gate, swaps releases, goes back when one
// fails.
//
// The control socket ROOT/<name>/control takes one JSON line and answers with one:
//   {"command":"status"}                              → the object of `holdall status --json`
//   {"command":"use","release":ID}                    → {"generation":N,"release":ID,"switch_milliseconds":X}
//     with "canary":{"percent":N,"seconds":N}         → the same, after the canary
//   {"command":"rollback"} or with "to":ID            → as use
//   {"command":"restart"}                             → as use: the same generation, by a new process
//   {"command":"stop"} or with "timeout":SECONDS      → {}, and the connection closes once everything is gone
// A refusal is {"error":MESSAGE,"exit_code":N}. use and rollback answer when the release has passed its gate or the
// service is back on the last good one; restart when the new process serves or its start has failed.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/store.h"

namespace holdall::launcher {

struct ServiceOptions {
  std::string model;                 // external model folder, absolute
  std::string host = "127.0.0.1";    // an IP address or "localhost" (a static program cannot ask the host's resolver)
  int port = 8080, health_port = 0;  // 0: any free port
  std::string device = "auto";
  std::vector<std::string> arguments;                 // after "--"
  std::uint64_t log_bytes = std::uint64_t{16} << 20;  // of one file, in the background
  unsigned log_files = 4;                             // older ones kept beside the newest
  std::string libcuda{};                              // the driver's, absolute, wherever it lies; empty: the host's
  bool keep_environment = false;                      // LD_LIBRARY_PATH and the like are not taken from it
};

// What happened, for people who watch: a stage of the start ("start", "warm", "ready"), a swap, a death, a return.
struct SupervisorEvent {
  std::string stage, release, detail;
  double seconds = 0;  // since the service of this release was started
};

struct SupervisorOptions {
  std::function<void(const SupervisorEvent&)> on_event;
  // Called once, when the first start is settled: with the URL of the running service, and what went wrong with the
  // release that was asked for if the last good one runs in its stead.
  std::function<void(const std::string& url, const std::optional<std::string>& failure)> on_running;
  std::function<void()> on_child_end;              // after every SIGCHLD, for whoever has started other processes
  std::map<std::string, std::string> environment;  // what the service inherits, before service_environment()
  std::chrono::milliseconds first_back_off{1000}, longest_back_off{30000};
  // A release that has just passed its gate and yet ends so often within this time is taken back, if there is one to go
  // back to. Any other is started again and again.
  std::chrono::milliseconds fresh_time{600000};
  int fresh_deaths = 3;
  std::optional<std::chrono::milliseconds> ready_timeout, drain_timeout;  // absent: as the bundle says
  std::chrono::milliseconds lock_timeout{10000};
  std::chrono::milliseconds canary_interval{1000};  // between two looks at a canary's metrics
};

// The share of the new connections that a release gets before it is used, and for how long.
struct CanaryTerms {
  int percent = 10;
  std::chrono::milliseconds time{300'000};  // in whole seconds on the control socket
};

// Supervises until a stop is asked for or a signal comes; returns the exit code: 0 after stop or SIGTERM, 130 after
// SIGINT. A second signal kills at once. Call it from the main thread, with SIGCHLD not otherwise used. A first start
// that fails goes back to the last good release and serves that. Throws Error{kBusy} if another supervisor runs here or
// the port is taken, Error{kNotReady} if no release passes its gate, Error{kNotFound} if nothing is active.
int supervise(Store& store, const ServiceOptions& service, const SupervisorOptions& options = {});

// The same supervisor in the background, its output and the service's in the log (log_files.h): returns the URL once
// the service is ready. Throws what the first start failed with: Error{kNotReady} also when the last good release runs
// in its stead.
std::string supervise_detached(Store& store, const ServiceOptions& service, const SupervisorOptions& options = {});

// What a running supervisor answers to one JSON line on the control socket; nullopt if none runs. Throws
// Error{kNotReady} if it ends before it answers, or says nothing within `timeout` (absent: waits).
std::optional<std::string> ask_supervisor(const Store& store, const std::string& request_json,
                                          std::optional<std::chrono::milliseconds> timeout = std::nullopt);

struct SwitchReport {
  Generation generation;
  double switch_milliseconds = 0;  // from the first symlink to the last fsync, without the warm-up
};

// use and rollback through a running supervisor; nullopt if none runs. They wait for the gate and throw the answer's
// error: Error{kNotReady} when the service went back. The caller must not hold the store's lock: the supervisor takes
// it.
std::optional<SwitchReport> use_running(const Store& store, const std::string& release,
                                        const std::optional<CanaryTerms>& canary = std::nullopt);
std::optional<SwitchReport> rollback_running(const Store& store, const std::optional<std::string>& to);

// restart through a running supervisor; nullopt if none runs. Throws Error{kNotReady} if the new process does not
// become ready; the old one goes on then, if both fit the device.
std::optional<SwitchReport> restart_running(const Store& store);

// stop through a running supervisor; false if none runs. Returns when the service, its sockets and its supervisor's
// lock are gone. `timeout` absent: the bundle's drain timeout.
bool stop_running(const Store& store, std::optional<std::chrono::seconds> timeout);

// The object of `status --json`: the supervisor's answer, or what the store alone says when none runs.
std::string status_json(const Store& store);

}  // namespace holdall::launcher
