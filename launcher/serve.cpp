#include "launcher/serve.h"

#include <cstdio>
#include <iostream>

#include "launcher/service_command.h"
#include "launcher/service_manager.h"

namespace holdall::launcher {
namespace {

std::string line_of(const SupervisorEvent& event) {
  char seconds[32] = "";
  if (event.seconds > 0) std::snprintf(seconds, sizeof seconds, " (%.1f s)", event.seconds);
  return event.stage + ": " + event.release + (event.detail.empty() ? "" : ": ") + event.detail + seconds;
}

void tell(const SupervisorEvent& event) {
  std::cerr << line_of(event) << std::endl;
}

}  // namespace

int serve(Store& store, const ServiceOptions& service, const CommonOptions& common, Ground ground) {
  SupervisorOptions options;
  options.environment = current_environment();
  options.lock_timeout = common.lock_timeout();
  // In the background people read the log, and nobody waits for a process that has been left.
  const bool tells = common.verbosity != Verbosity::kQuiet || ground == Ground::kBackground;
  const auto manager = ground == Ground::kForeground ? options.environment["NOTIFY_SOCKET"] : "";
  options.on_event = [tells, manager](const SupervisorEvent& event) {
    if (tells) tell(event);
    tell_service_manager(manager, (event.stage == "stop" ? "STOPPING=1\nSTATUS=" : "STATUS=") + line_of(event));
  };
  const auto announce = [&](const std::string& url) {
    std::cout << (common.json ? status_json(store) : url) << std::endl;
  };
  if (ground == Ground::kBackground) {
    announce(supervise_detached(store, service, options));
    return 0;
  }
  options.on_running = [&](const std::string& url, const std::optional<std::string>& failure) {
    if (failure) std::cerr << "holdall: " << *failure << ": the last good release serves instead" << std::endl;
    // The supervisor cannot ask itself for its status.
    std::cout << (common.json ? "{\"url\":\"" + url + "\"}" : url) << std::endl;
    tell_service_manager(manager, "READY=1");
  };
  return supervise(store, service, options);
}

}  // namespace holdall::launcher
