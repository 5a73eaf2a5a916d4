// holdall doctor [SOURCE]: can this host run the bundle? Reads at most the archive's first 64 KiB.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/control_socket.h"
#include "launcher/doctor.h"
#include "launcher/fetch_options.h"
#include "launcher/options.h"
#include "launcher/source.h"

namespace holdall::launcher {
namespace {

struct Options {
  CommonOptions common;
  std::string source;
  DoctorOptions doctor;
  bool names_libc = false;  // on the command line
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

int run_doctor(const Options& given) {
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
  const bool colour = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  std::cout << (given.common.json ? to_json(diagnosis) : to_text(diagnosis, colour));
  if (diagnosis.verdict != Verdict::kIncompatible) return 0;
  return exit_code(diagnosis.storage_only ? bundle::ErrorKind::kStorage : bundle::ErrorKind::kIncompatible);
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
  add_libc_option(*command, options->doctor.libc);
  add_fetch_options(*command, options->fetch);
  add_common_options(*command, options->common);
  command->callback([options, command, &result] {
    options->names_libc = bundle::is_named(*command, "--libc");
    result.exit_code = run_doctor(*options);
  });
}

}  // namespace holdall::launcher
