// holdall use ID
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/commands.h"
#include "launcher/switch.h"

namespace holdall::launcher {
namespace {

struct UseOptions {
  CommonOptions common;
  std::string release;
};

void use(const UseOptions& options) {
  Store store = open_installed(options.common, options.release);
  require_whole(store, options.release, false);
  print(switch_to(store, std::nullopt, options.release, options.common), options.common);
}

}  // namespace

void add_use(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<UseOptions>();
  CLI::App* command =
      app.add_subcommand("use", "make an installed release the active one; a running service is swapped");
  command->add_option("ID", options->release, "release id, as install and ls print it")->required();
  add_common_options(*command, options->common);
  command->callback([options] { use(*options); });
}

}  // namespace holdall::launcher
