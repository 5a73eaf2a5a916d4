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

void show(const CommonOptions& options) {
  const Store store = open_installed(options);
  // A store that only a failed installation has made.
  if (store.releases().empty())
    throw bundle::Error(bundle::ErrorKind::kNotFound, "'" + service_name(store) + "' has no installed release");
  const std::string json = status_json(store);
  if (options.json)
    std::cout << json << '\n';
  else
    std::cout << status_text(json);
}

}  // namespace

void add_status(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<CommonOptions>();
  CLI::App* command = app.add_subcommand("status", "what runs, since when, and what went wrong last");
  add_common_options(*command, *options);
  command->callback([options] { show(*options); });
}

}  // namespace holdall::launcher
