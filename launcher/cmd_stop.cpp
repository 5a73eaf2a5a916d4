// holdall stop [--timeout S]
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/status.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {
namespace {

struct StopOptions {
  CommonOptions common;
  std::optional<unsigned> timeout_seconds;
};

void stop(const StopOptions& options) {
  const Store store = open_installed(options.common);
  std::optional<std::chrono::seconds> timeout;
  if (options.timeout_seconds) timeout = std::chrono::seconds(*options.timeout_seconds);
  const bool ran = stop_running(store, timeout);
  if (options.common.json)
    std::cout << status_json(store) << '\n';
  else if (options.common.verbosity != Verbosity::kQuiet)
    std::cerr << service_name(store) << (ran ? " is stopped\n" : " was not running\n");
}

}  // namespace

void add_stop(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<StopOptions>();
  CLI::App* command =
      app.add_subcommand("stop", "end the service once its requests are answered; one that is stopped stays so");
  command->add_option("--timeout", options->timeout_seconds, "seconds that requests may take to finish [the bundle's]")
      ->check(CLI::Range(0u, 86400u));
  add_common_options(*command, options->common);
  command->callback([options] { stop(*options); });
}

}  // namespace holdall::launcher
