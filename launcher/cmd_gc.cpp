// holdall gc
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "launcher/collect.h"
#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/progress.h"

namespace holdall::launcher {
namespace {

struct GcOptions {
  CommonOptions common;
  CollectOptions collect;
};

void print_json(const std::vector<Collected>& collected, bool dry_run) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& [release, bytes] : collected) list.push_back({{"id", release}, {"bytes", bytes}});
  std::cout << nlohmann::ordered_json{{"dry_run", dry_run}, {"removed", list}}.dump(2) << '\n';
}

void collect_garbage(const GcOptions& options) {
  Store store = open_installed(options.common);
  const StoreLock lock = store.lock(options.common.lock_timeout());
  const auto collected = collect(store, lock, options.collect);
  if (options.common.json) return print_json(collected, options.collect.dry_run);
  std::uint64_t sum = 0;
  for (const auto& [release, bytes] : collected) {
    std::cout << release << '\n';
    sum += bytes;
  }
  if (options.common.verbosity != Verbosity::kQuiet)
    std::cerr << (options.collect.dry_run ? "would free " : "freed ") << human_bytes(sum) << '\n';
}

}  // namespace

void add_gc(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<GcOptions>();
  CLI::App* command = app.add_subcommand("gc", "remove releases that nobody needs; print their ids");
  command->add_option("--keep", options->collect.keep, "releases of so many last generations stay [3]");
  command->add_flag("--unused", options->collect.unused, "also releases that were never activated");
  command->add_flag("--dry-run", options->collect.dry_run, "only say what would go");
  add_common_options(*command, options->common);
  command->callback([options] { collect_garbage(*options); });
}

}  // namespace holdall::launcher
