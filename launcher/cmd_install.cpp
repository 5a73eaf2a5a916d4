// holdall install SOURCE
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "launcher/commands.h"
#include "launcher/obtain.h"

namespace holdall::launcher {
namespace {

void install_source(const ObtainOptions& options) {
  const Obtained obtained = obtain(options);
  if (!options.common.json) {
    std::cout << obtained.result.release << '\n';
    return;
  }
  const nlohmann::ordered_json result{{"id", obtained.result.release},
                                      {"name", obtained.info.name},
                                      {"version", obtained.info.version},
                                      {"reused", obtained.result.reused},
                                      {"bytes", obtained.result.bytes}};
  std::cout << result.dump(2) << '\n';
}

}  // namespace

void add_install(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<ObtainOptions>();
  CLI::App* command =
      app.add_subcommand("install", "check the host, unpack a bundle, relocate and verify it; print its id");
  add_obtain_options(*command, *options);
  command->callback([options] { install_source(*options); });
}

}  // namespace holdall::launcher
