// holdall use ID
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/switch.h"

namespace holdall::launcher {
namespace {

struct UseOptions {
  CommonOptions common;
  std::string release;
  std::optional<int> percent;
  double seconds = 300;
  bool names_time = false;  // on the command line
};

void use(const UseOptions& options) {
  if (options.names_time && !options.percent)
    throw bundle::Error(bundle::ErrorKind::kUsage, "cannot use --canary-time alone: it is how long --canary lasts");
  Store store = open_installed(options.common, options.release);
  require_whole(store, options.release, false);
  std::optional<CanaryTerms> canary;
  if (options.percent)
    canary =
        CanaryTerms{*options.percent, std::chrono::milliseconds(static_cast<std::int64_t>(options.seconds * 1000))};
  print(switch_to(store, std::nullopt, options.release, options.common, canary), options.common);
}

}  // namespace

void add_use(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<UseOptions>();
  CLI::App* command =
      app.add_subcommand("use", "make an installed release the active one; a running service is swapped");
  command->add_option("ID", options->release, "release id, as install and ls print it")->required();
  command
      ->add_option("--canary", options->percent,
                   "first give it this share of the new connections, in percent, and use it only if it does not "
                   "fail more requests than the release in use")
      ->check(CLI::Range(1, 99));
  command->add_option("--canary-time", options->seconds, "for how long: seconds, or with a unit, e.g. 10m [5m]")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}}))
      ->check(CLI::Range(1.0, 604800.0));
  add_common_options(*command, options->common);
  command->callback([options, command] {
    options->names_time = bundle::is_named(*command, "--canary-time");
    use(*options);
  });
}

}  // namespace holdall::launcher
