// holdall status [--json]
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/status.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {
namespace {

struct StatusOptions {
  CommonOptions common;
  bool ready = false;
};

int show(const StatusOptions& status) {
  const CommonOptions& options = status.common;
  const Store store = open_installed(options);
  // A store that only a failed installation has made.
  if (store.releases().empty())
    throw bundle::Error(bundle::ErrorKind::kNotFound, "'" + service_name(store) + "' has no installed release");
  const std::string json = status_json(store);
  if (options.json)
    std::cout << json << '\n';
  else
    std::cout << status_text(json);
  return status.ready && !is_ready(json) ? exit_code(bundle::ErrorKind::kNotReady) : 0;
}

}  // namespace

void add_status(CLI::App& app, CommandResult& result) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* command = app.add_subcommand("status", "what runs, since when, and what went wrong last");
  command->add_flag("--ready", options->ready, "for probes: exit 9 unless the service is ready for requests");
  add_common_options(*command, options->common);
  command->callback([options, &result] { result.exit_code = show(*options); });
}

}  // namespace holdall::launcher
