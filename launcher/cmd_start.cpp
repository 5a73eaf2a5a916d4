// holdall start [--detach]
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/serve.h"
#include "launcher/service_options.h"

namespace holdall::launcher {
namespace {

struct StartOptions {
  CommonOptions common;
  bool detach = false;
};

int start(const StartOptions& options) {
  Store store = open_installed(options.common);
  const ServiceOptions service = load_service_options(store).value_or(ServiceOptions{});
  return serve(store, service, options.common, options.detach ? Ground::kBackground : Ground::kForeground);
}

}  // namespace

void add_start(CLI::App& app, CommandResult& result) {
  auto options = std::make_shared<StartOptions>();
  CLI::App* command = app.add_subcommand("start", "start the active release with the options that run was given");
  command->add_flag("--detach", options->detach, "return once it is ready, and leave it in the background");
  add_common_options(*command, options->common);
  command->callback([options, &result] { result.exit_code = start(*options); });
}

}  // namespace holdall::launcher
