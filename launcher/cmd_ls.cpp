// holdall ls: the installed releases.
#include <CLI/CLI.hpp>
#include <array>
#include <ctime>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "launcher/commands.h"
#include "launcher/options.h"
#include "launcher/progress.h"

namespace holdall::launcher {
namespace {

struct Row {
  std::string name;
  ReleaseSummary release;
};

std::string local_time(std::int64_t seconds) {
  const auto when = static_cast<std::time_t>(seconds);
  std::tm parts{};
  std::array<char, 32> text{};
  if (::gmtime_r(&when, &parts) == nullptr) return "unknown";
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

void print_table(const std::vector<Row>& rows) {
  for (const auto& [name, release] : rows) {
    const std::string marks = std::string(release.current ? "current" : "") +
                              (release.current && release.good ? "," : "") + (release.good ? "good" : "");
    const bool known = release.state != "damaged";
    std::cout << release.id << '\t' << release.state << '\t' << (marks.empty() ? "-" : marks) << '\t'
              << (known ? human_bytes(release.bytes) : "-") << '\t' << (known ? local_time(release.installed_at) : "-")
              << '\n';
  }
}

void print_json(const std::vector<Row>& rows) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& [name, release] : rows)
    list.push_back({{"id", release.id},
                    {"name", name},
                    {"version", release.version},
                    {"current", release.current},
                    {"good", release.good},
                    {"installed_at", release.installed_at},
                    {"bytes", release.bytes},
                    {"state", release.state},
                    {"libc", libc_name(release.libc)}});
  std::cout << list.dump(2) << '\n';
}

void list(const CommonOptions& options) {
  std::vector<Row> rows;
  for (const std::string& name : options.name.empty() ? installed_names(options) : std::vector{options.name}) {
    const Store store = Store::open(options.store_root(), name, options.open_options());
    for (ReleaseSummary& release : store.releases()) rows.push_back({name, std::move(release)});
  }
  options.json ? print_json(rows) : print_table(rows);
}

}  // namespace

void add_ls(CLI::App& app, CommandResult& /*result*/) {
  auto options = std::make_shared<CommonOptions>();
  CLI::App* command = app.add_subcommand("ls", "list the installed releases");
  add_common_options(*command, *options);
  command->callback([options] { list(*options); });
}

}  // namespace holdall::launcher
