// holdall start [--detach]
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/serve.h"
#include "launcher/service_options.h"

namespace holdall::launcher {
namespace {

struct StartOptions {
  CommonOptions common;
  bool detach = false;
  std::optional<std::string> host;  // this once, instead of what run was told
  std::optional<int> port, health_port;
};

int start(const StartOptions& options) {
  Store store = open_installed(options.common);
  if (!store.current()) store.lock(options.common.lock_timeout());  // whose recovery may find it again
  ServiceOptions service = load_service_options(store).value_or(ServiceOptions{});
  service.host = options.host.value_or(service.host);
  service.port = options.port.value_or(service.port);
  service.health_port = options.health_port.value_or(service.health_port);
  return serve(store, service, options.common, options.detach ? Ground::kBackground : Ground::kForeground);
}

}  // namespace

void add_start(CLI::App& app, CommandResult& result) {
  auto options = std::make_shared<StartOptions>();
  CLI::App* command = app.add_subcommand("start", "start the active release with the options that run was given");
  command->add_flag("--detach", options->detach, "return once it is ready, and leave it in the background");
  command->add_option("--host", options->host, "address to listen on, this once [as run was given]");
  command->add_option("--port", options->port, "port of the service, this once; 0: any free one [as run was given]")
      ->check(CLI::Range(0, 65535));
  command->add_option("--health-port", options->health_port, "port of its health pages, this once [as run was given]")
      ->check(CLI::Range(0, 65535));
  add_common_options(*command, options->common);
  command->callback([options, &result] { result.exit_code = start(*options); });
}

}  // namespace holdall::launcher
