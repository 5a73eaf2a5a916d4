// holdall restart
#include <CLI/CLI.hpp>
#include <memory>

#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/status.h"
#include "launcher/switch.h"

namespace holdall::launcher {
namespace {

void restart(const CommonOptions& options) {
  const Store store = open_installed(options);
  const auto report = restart_running(store);
  if (!report)
    throw bundle::Error(bundle::ErrorKind::kNotFound,
                        "'" + service_name(store) + "' does not run: start it with 'holdall start'");
  print({.generation = report->generation, .running = true}, options);
}

}  // namespace

void add_restart(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<CommonOptions>();
  CLI::App* command = app.add_subcommand(
      "restart", "start the active release anew and let it take over once it is ready; the port stays open");
  add_common_options(*command, *options);
  command->callback([options] { restart(*options); });
}

}  // namespace holdall::launcher
