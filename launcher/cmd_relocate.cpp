// holdall relocate DIR: put an unpacked tree right for where it lies. bin/conda-unpack of a bundle is this program,
// too.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/interrupt.h"
#include "launcher/options.h"
#include "launcher/relocate.h"

namespace holdall::launcher {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;

struct RelocateCommandOptions {
  std::string folder, prefix;
  LibcWish libc = LibcWish::kAuto;
  bool names_libc = false;  // on the command line
  bool undo = false, skip_changed = false, json = false, quiet = false;
};

std::string real_folder(const std::string& given) {
  std::error_code error;
  const fs::path path = fs::canonical(given, error);
  if (error) throw bundle::system_error(error.value(), "open", given);
  return path.string();
}

std::string destination(const RelocateCommandOptions& options, const std::string& folder) {
  std::string prefix = options.prefix.empty() ? folder : options.prefix;
  while (prefix.size() > 1 && prefix.back() == '/') prefix.pop_back();
  if (prefix.front() != '/')
    throw Error(ErrorKind::kUsage, "--prefix '" + prefix + "' is relative: give the absolute path of the tree to be");
  return prefix;
}

RelocateResult relocate(const RelocateCommandOptions& options, const std::string& folder) {
  const InterruptGuard interrupt;
  RelocateOptions how;
  if (!options.undo) how.prefix = destination(options, folder);
  how.choose_libc = [&](const bundle::BundleInfo* info, bundle::LibcChoice now) {
    if (info == nullptr && options.libc == LibcWish::kBundled && options.names_libc)
      throw Error(ErrorKind::kUsage, "'" + folder + "' brings no C library of its own: leave out --libc bundled");
    if (info == nullptr) return bundle::LibcChoice::kHost;
    // What it was installed with goes on serving it.
    if (options.libc == LibcWish::kAuto && now == bundle::LibcChoice::kBundled) return now;
    return choose_libc(*info, options.libc);
  };
  how.changed_files = options.skip_changed ? ChangedFiles::kSkip : ChangedFiles::kRefuse;
  how.check = [&] { interrupt.check(); };
  RelocateResult result = relocate_tree(folder, how);
  if (!options.quiet)
    for (const std::string& path : result.skipped)
      std::cerr << "warning: '" << path << "' is missing or was changed: left as it is\n";
  return result;
}

void run_relocate(const RelocateCommandOptions& options) {
  const std::string folder = real_folder(options.folder);
  const RelocateResult result = relocate(options, folder);
  if (!options.json) {
    std::cout << (options.undo ? folder : destination(options, folder)) << '\n';
    return;
  }
  nlohmann::ordered_json report{{"path", folder}, {"prefix", nullptr}};
  if (!options.undo) report["prefix"] = destination(options, folder);
  report["libc"] = libc_name(result.libc);
  report["files"] = result.files;
  report["changed"] = result.changed;
  report["skipped"] = result.skipped;
  std::cout << report.dump(2) << '\n';
}

void add_relocate_options(CLI::App& command, RelocateCommandOptions& options) {
  command.add_flag("--undo", options.undo, "put back the bytes that were packed");
  add_libc_option(command, options.libc);
  command.add_flag("--skip-changed", options.skip_changed,
                   "leave files alone that were changed since they were unpacked");
  command.add_flag("-q,--quiet", options.quiet, "errors only");
}

}  // namespace

void add_relocate(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<RelocateCommandOptions>();
  CLI::App* command = app.add_subcommand(
      "relocate", "put an unpacked tree right for the place it lies in, after plain tar or a move; print its prefix");
  command->add_option("DIR", options->folder, "the tree: the folder that holds holdall/")->required();
  add_relocate_options(*command, *options);
  command->add_option("--prefix", options->prefix, "where the tree will live [where it lies]")
      ->excludes(command->get_option("--undo"));
  command->add_flag("--json", options->json, "result as JSON");
  command->callback([options, command] {
    options->names_libc = bundle::is_named(*command, "--libc");
    run_relocate(*options);
  });
}

void add_unpack_of_conda(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<RelocateCommandOptions>();
  app.description("Puts the tree that this program lies in right for its place; again after each move.");
  add_relocate_options(app, *options);
  app.callback([options, &app] {
    options->names_libc = bundle::is_named(app, "--libc");
    const fs::path program = real_folder("/proc/self/exe");
    relocate(*options, program.parent_path().parent_path().string());
  });
}

}  // namespace holdall::launcher
