// What `holdall status` says.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "bundle/relocation.h"
#include "launcher/store.h"

namespace holdall::launcher {

struct ServiceStatus {
  std::string name;
  std::string state;  // stopped, starting, warming, running, draining, rolling_back, failed
  std::optional<Generation> generation;
  std::optional<bundle::LibcChoice> libc;  // that its release runs on; absent: not known
  bool good = false;                       // the generation has passed its gate
  pid_t pid = 0, supervisor_pid = 0;       // 0: none
  std::string url, health_url;             // empty: none
  bool ready = false;
  std::int64_t since = 0;  // of the state, seconds since the epoch; 0: not known
  std::optional<std::string> last_error;

  struct Canary {
    std::string release;
    int percent = 0;  // of the new connections
    pid_t pid = 0;
    std::optional<std::int64_t> seconds_left;  // once it gets connections
    std::uint64_t requests = 0, errors = 0;    // as of the last look at its metrics
  };
  std::optional<Canary> canary;
};

// One line of JSON; what is not known is null.
std::string to_json(const ServiceStatus& status);

// For people, a line per fact, from the same JSON (a supervisor's answer or to_json). Throws Error{kInternal} if it is
// not.
std::string status_text(const std::string& json);

// Whether the service behind the same JSON takes requests.
bool is_ready(const std::string& json);

// What the store alone says: stopped, or failed if the last activation failed its gate.
ServiceStatus stopped_status(const Store& store);

// Of an installed release; nullopt if its record cannot be read.
std::optional<bundle::LibcChoice> libc_of(const Store& store, const std::string& release);

// The last part of the store's path.
std::string service_name(const Store& store);

}  // namespace holdall::launcher
