// holdall upgrade SOURCE
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands.h"
#include "launcher/obtain.h"
#include "launcher/switch.h"

namespace holdall::launcher {
namespace {

void upgrade(const ObtainOptions& options) {
  Obtained obtained = obtain(options);
  print(switch_to(obtained.store, std::move(obtained.lock), obtained.result.release, options.common), options.common);
}

}  // namespace

void add_upgrade(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<ObtainOptions>();
  CLI::App* command = app.add_subcommand("upgrade", "install a bundle, then use it");
  add_obtain_options(*command, *options);
  command->callback([options] { upgrade(*options); });
}

}  // namespace holdall::launcher
