#include "launcher/serve.h"

#include <cstdio>
#include <iostream>

#include "launcher/service_command.h"

namespace holdall::launcher {
namespace {

void tell(const SupervisorEvent& event) {
  char seconds[32] = "";
  if (event.seconds > 0) std::snprintf(seconds, sizeof seconds, " (%.1f s)", event.seconds);
  std::cerr << event.stage << ": " << event.release << (event.detail.empty() ? "" : ": ") << event.detail << seconds
            << std::endl;
}

}  // namespace

int serve(Store& store, const ServiceOptions& service, const CommonOptions& common, Ground ground) {
  SupervisorOptions options;
  options.environment = current_environment();
  options.lock_timeout = common.lock_timeout();
  if (common.verbosity != Verbosity::kQuiet || ground == Ground::kBackground)
    options.on_event = tell;  // there: to the log
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
  };
  return supervise(store, service, options);
}

}  // namespace holdall::launcher
