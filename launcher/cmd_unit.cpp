// holdall unit systemd|slurm|kubernetes
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/service_command.h"
#include "launcher/service_options.h"
#include "launcher/status.h"
#include "launcher/unit.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

struct UnitOptions {
  CommonOptions common;
  std::string kind;
  std::string image = "debian:12-slim";
  bool system = false;
};

UnitFacts facts_of(const UnitOptions& options) {
  const Store store = open_installed(options.common);
  const auto current = store.current();
  if (!current)
    throw Error(ErrorKind::kNotFound, "no release is active in '" + store.path() + "': choose one with 'holdall use'");
  UnitFacts facts;
  facts.info = store.info(current->release);
  const auto service = load_service_options(store);
  facts.service = service.value_or(ServiceOptions{});
  if (!service && facts.info.model && facts.info.model->external)
    throw Error(ErrorKind::kUsage, "release '" + current->release +
                                       "' has no model yet: give it one with 'holdall run SOURCE --model DIR' first");
  service_arguments(facts.info, facts.service, {"/", "/"});  // what start would refuse
  facts.program = std::filesystem::read_symlink("/proc/self/exe").string();
  facts.name = service_name(store);
  facts.root = std::filesystem::path(store.path()).parent_path().string();
  facts.image = options.image;
  utsname host{};
  ::uname(&host);
  facts.node = host.nodename;
  facts.user = ::getuid();
  facts.group = ::getgid();
  if (options.system && options.kind != "systemd")
    throw Error(ErrorKind::kUsage, "cannot use --system with '" + options.kind + "': it is for systemd");
  facts.manager = options.system ? Manager::kSystem : Manager::kUser;
  return facts;
}

void print_unit(const UnitOptions& options) {
  const UnitFacts facts = facts_of(options);
  std::cout << (options.kind == "systemd" ? systemd_unit(facts)
                : options.kind == "slurm" ? slurm_script(facts)
                                          : kubernetes_manifest(facts));
}

}  // namespace

void add_unit(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<UnitOptions>();
  CLI::App* command = app.add_subcommand(
      "unit", "print what starts the service elsewhere: a systemd unit, a Slurm batch script, a Kubernetes manifest");
  command->add_option("KIND", options->kind, "systemd, slurm or kubernetes")
      ->required()
      ->check(CLI::IsMember({"systemd", "slurm", "kubernetes"}));
  command->add_option("--image", options->image,
                      "kubernetes: the image whose libraries stand in for the host's [debian:12-slim]");
  command->add_flag(
      "--system", options->system,
      "systemd: a unit for the system's, started at boot as the store's owner, instead of the user's own");
  add_common_options(*command, options->common);
  command->callback([options] { print_unit(*options); });
}

}  // namespace holdall::launcher
