// holdall doctor [SOURCE]: can this host run the bundle? Reads at most the archive's first 64 KiB.
// holdall doctor --running: has the running service loaded anything of the host's?
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/control_socket.h"
#include "launcher/doctor.h"
#include "launcher/fetch_options.h"
#include "launcher/options.h"
#include "launcher/running.h"
#include "launcher/source.h"
#include "launcher/status.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {
namespace {

struct Options {
  CommonOptions common;
  std::string source;
  DoctorOptions doctor;
  bool names_libc = false;  // on the command line
  bool running = false;
  FetchOptions fetch;
};

// The store's folder, or none: a doctor without a home still judges the rest.
std::string root_or_none(const CommonOptions& common) {
  try {
    return common.store_root();
  } catch (const bundle::Error&) {
    return "";
  }
}

void check_folder(const std::string& sysroot) {
  if (!sysroot.empty() && ::access((sysroot + "/.").c_str(), X_OK) != 0)
    throw bundle::system_error(errno, "open the captured host", sysroot);
}

int print(const Diagnosis& diagnosis, const CommonOptions& common) {
  const bool colour = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  std::cout << (common.json ? to_json(diagnosis) : to_text(diagnosis, colour));
  if (diagnosis.verdict != Verdict::kIncompatible) return 0;
  return exit_code(diagnosis.storage_only ? bundle::ErrorKind::kStorage : bundle::ErrorKind::kIncompatible);
}

int examine_running(const Options& given) {
  const Store store = open_installed(given.common);
  const auto status = nlohmann::json::parse(status_json(store));
  if (!status["pid"].is_number())
    throw bundle::Error(bundle::ErrorKind::kNotFound,
                        "'" + service_name(store) + "' does not run: start it with 'holdall start'");
  Diagnosis diagnosis;
  diagnosis.verdict = Verdict::kCompatible;
  diagnosis.libc = libc_of(store, status.at("release")).value_or(bundle::LibcChoice::kHost);
  diagnosis.checks = check_running(status["pid"], store.path(), diagnosis.libc);
  return print(diagnosis, given.common);
}

int run_doctor(const Options& given) {
  if (given.running) return examine_running(given);
  DoctorOptions options = given.doctor;
  options.root = root_or_none(given.common);
  options.allow_network_filesystem = given.common.allow_network_filesystem;
  check_folder(options.sysroot);
  std::optional<Source> source;
  if (!given.source.empty()) source = Source::open(given.source, given.fetch);
  if (source && given.names_libc) require_libc(source->info(), options.libc);
  if (source && !options.root.empty())
    options.service_runs =
        is_supervised(options.root + "/" + (given.common.name.empty() ? source->info().name : given.common.name));

  const Diagnosis diagnosis = diagnose(source ? &source->info() : nullptr, options);
  return print(diagnosis, given.common);
}

}  // namespace

void add_doctor(CLI::App& app, CommandResult& result) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("doctor", "can this host run a bundle? what was found, needed, and what to do");
  command->add_option("SOURCE", options->source,
                      "a bundle file, an https:// address, an unpacked folder or -; none: the host alone");
  command->add_flag("--allow-cpu", options->doctor.allow_cpu, "a bundle for CUDA may run on the CPU");
  command->add_option("--sysroot", options->doctor.sysroot,
                      "examine a captured host: the folder that stands for its root");
  command->add_option("--libcuda", options->doctor.libcuda, "the driver's libcuda.so.1, wherever it lies");
  command
      ->add_flag("--running", options->running,
                 "examine the service that runs: which libraries has it loaded from the host?")
      ->excludes("SOURCE", "--sysroot", "--libcuda", "--allow-cpu");
  add_libc_option(*command, options->doctor.libc);
  add_fetch_options(*command, options->fetch);
  add_common_options(*command, options->common);
  command->callback([options, command, &result] {
    options->names_libc = bundle::is_named(*command, "--libc");
    result.exit_code = run_doctor(*options);
  });
}

}  // namespace holdall::launcher
