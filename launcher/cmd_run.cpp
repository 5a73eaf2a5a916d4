// holdall run SOURCE: doctor, install, activate, start, warm-up and gate in one go.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <utility>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/obtain.h"
#include "launcher/serve.h"
#include "launcher/service_command.h"
#include "launcher/service_options.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

struct RunOptions {
  ObtainOptions obtain;
  ServiceOptions service;
  bool detach = false;
};

// A bundle that carries its model, or has no use for a device, passes over what only the environment says of them.
void drop_unused(const bundle::BundleInfo& info, const CLI::App& command, ServiceOptions& service) {
  if (info.model && !info.model->external && !bundle::is_named(command, "--model")) service.model.clear();
  if (!takes(info, "{device}") && !bundle::is_named(command, "--device")) service.device = ServiceOptions().device;
}

// What can be known to fail is refused before anything is unpacked.
void check_service(const bundle::BundleInfo& info, const RunOptions& options) {
  service_arguments(info, options.service, {"/", "/"});
  const std::string& model = options.service.model;
  if (info.model && !info.model->external && !model.empty())
    throw Error(ErrorKind::kUsage, "bundle '" + info.name + "' carries its own model: leave out --model");
  struct stat status {};
  if (!model.empty() && (::stat(model.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)))
    throw Error(ErrorKind::kNotFound, "cannot find model folder '" + model + "'");
  const CommonOptions& common = options.obtain.common;
  try {
    const Store store =
        Store::open(common.store_root(), common.name.empty() ? info.name : common.name, common.open_options());
    if (ask_supervisor(store, R"({"command":"status"})", std::chrono::seconds(5)))
      throw Error(ErrorKind::kBusy,
                  "'" + info.name + "' runs already: swap it with 'holdall upgrade', or stop it first");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;  // not installed yet
  }
}

int run(RunOptions& options, const CLI::App& command) {
  if (!options.service.model.empty())
    options.service.model = std::filesystem::absolute(options.service.model).lexically_normal().string();

  using Clock = std::chrono::steady_clock;
  auto last = Clock::now();
  const auto stage = [&](const std::string& text) {
    const double seconds = std::chrono::duration<double>(Clock::now() - std::exchange(last, Clock::now())).count();
    char time[32];
    std::snprintf(time, sizeof time, " (%.1f s)", seconds);
    if (options.obtain.common.verbosity != Verbosity::kQuiet) std::cerr << text << time << std::endl;
  };

  options.service.libcuda = options.obtain.libcuda;
  options.obtain.check = [&](const bundle::BundleInfo& info) {
    drop_unused(info, command, options.service);
    check_service(info, options);
  };
  options.obtain.examined = [&] { stage("doctor: this host can run it"); };
  std::optional<Obtained> obtained = obtain(options.obtain);
  const std::string release = obtained->result.release;
  stage("install: " + release + (obtained->result.reused ? " is there already" : ""));

  std::optional<Generation> current = obtained->store.current();
  if (!current || current->release != release || !obtained->store.passed_gate(current->number))
    current = obtained->store.activate(obtained->lock, release);
  save_service_options(obtained->store, options.service);
  stage("activate: generation " + std::to_string(current->number));

  Store store = std::move(obtained->store);
  obtained.reset();  // the lock covers changes of the store, not the warm-up
  return serve(store, options.service, options.obtain.common,
               options.detach ? Ground::kBackground : Ground::kForeground);
}

}  // namespace

void add_run(CLI::App& app, CommandResult& result) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "check the host, install a bundle, and serve it in the foreground");
  add_obtain_options(*command, options->obtain);
  command->add_option("--model", options->service.model, "folder of the model, for a bundle that does not carry it");
  command->add_option("--host", options->service.host, "address to listen on [127.0.0.1]");
  command->add_option("--port", options->service.port, "port of the service; 0: any free one [8080]")
      ->check(CLI::Range(0, 65535));
  command->add_option("--health-port", options->service.health_port, "port of its health pages; 0: any free one [0]")
      ->check(CLI::Range(0, 65535));
  command->add_option("--device", options->service.device, "auto, cpu, cuda:N, … [auto]");
  command->add_flag("--keep-env", options->service.keep_environment, kKeepEnvironmentHelp);
  command->add_flag("--detach", options->detach, "return once it is ready, and leave it in the background");
  command
      ->add_option("--log-size", options->service.log_bytes,
                   "with --detach: size at which a new log file is begun, such as 64M [16M]")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(std::uint64_t{4096}, std::uint64_t{1} << 40));
  command
      ->add_option("--log-files", options->service.log_files,
                   "with --detach: older log files kept beside the newest [4]")
      ->check(CLI::Range(0u, 1000u));
  command->add_option("ARGS", options->service.arguments, "arguments for the service, after --");
  command->callback([options, command, &result] { result.exit_code = run(*options, *command); });
}

}  // namespace holdall::launcher
