// Keeps one service running: holds its sockets, starts it, waits for its gate, swaps releases, goes back when one fails.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/store.h"

namespace holdall::launcher {

struct ServiceOptions {
  std::string model;                     // external model folder
  std::string host = "127.0.0.1";
  int port = 8080, health_port = 0;      // 0: any free port
  std::string device = "auto";
  std::vector<std::string> arguments;    // after "--"
};

// Supervises until a stop is asked for or a signal comes; returns the exit code. `ROOT/<name>/control` answers meanwhile.
// Throws Error{kBusy} if another supervisor runs here, Error{kNotReady} if no release passes its gate.
int supervise(Store& store, const ServiceOptions& options);

// The same supervisor in the background: returns once it is ready or has failed.
int supervise_detached(Store& store, const ServiceOptions& options);

// What a running supervisor answers to one JSON line on the control socket; nullopt if none runs.
std::optional<std::string> ask_supervisor(const Store& store, const std::string& request_json);

}  // namespace holdall::launcher
