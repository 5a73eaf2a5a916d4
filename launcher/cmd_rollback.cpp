// holdall rollback [--to ID]
#include <CLI/CLI.hpp>
#include <memory>

#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/switch.h"

namespace holdall::launcher {
namespace {

struct RollbackOptions {
  CommonOptions common;
  std::string to;
  bool verify = false;
};

void roll_back(const RollbackOptions& options) {
  Store store = open_installed(options.common, options.to);
  StoreLock lock = store.lock(options.common.lock_timeout());  // whose recovery may find a lost current again
  const std::optional<std::string> target = options.to.empty() ? store.rollback_target() : options.to;
  if (!target)
    throw bundle::Error(bundle::ErrorKind::kNotFound,
                        "nothing to roll back to in '" + store.path() +
                            "': no earlier release passed its gate: give --to ID to go to another (holdall ls)");
  require_whole(store, *target, options.verify);
  print(switch_to(store, std::move(lock), *target, options.common), options.common);
}

}  // namespace

void add_rollback(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<RollbackOptions>();
  CLI::App* command = app.add_subcommand("rollback", "go back to the last good release; twice in a row toggles");
  command->add_option("--to", options->to, "go to this release instead");
  command->add_flag("--verify", options->verify, "hash every file of the release before the switch");
  add_common_options(*command, options->common);
  command->callback([options] { roll_back(*options); });
}

}  // namespace holdall::launcher
