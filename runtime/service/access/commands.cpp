#include "runtime/service/access/commands.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/service/access/audit_log.h"
#include "runtime/service/access/keys.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::filesystem::path file;
  Key key;
  std::string role = "editor";
  double qps = 0;
  std::uint64_t daily_quota = 0;
  bool json = false;
};

void add_file(CLI::App& command, Arguments& arguments) {
  command.add_option("--keys", arguments.file, "the keys file")->envname("HOLDALL_KEYS")->required();
}

void add(Arguments& arguments, const CLI::App& command) {
  arguments.key.role = *role_named(arguments.role);
  if (command.count("--qps") > 0) arguments.key.qps = arguments.qps;
  if (command.count("--daily-quota") > 0) arguments.key.daily_quota = arguments.daily_quota;
  const std::string text = add_key(arguments.file, arguments.key);
  if (arguments.json)
    std::cout << ordered_json{{"name", arguments.key.name}, {"key", text}, {"role", arguments.role}} << '\n';
  else
    std::cout << text << '\n';
  std::cerr << "holdall-edit: this key is not shown again; a running service takes it after SIGHUP\n";
}

void list(const Arguments& arguments) {
  ordered_json all = ordered_json::array();
  for (const Key& key : read_keys(arguments.file)) {
    if (!arguments.json) {
      std::cout << key.name << '\t' << name_of(key.role);
      if (key.qps) std::cout << "\tqps " << *key.qps;
      if (key.daily_quota) std::cout << "\tdaily quota " << *key.daily_quota;
      std::cout << "\tsince " << key.created << '\n';
      continue;
    }
    ordered_json entry = {{"name", key.name}, {"role", name_of(key.role)}, {"created", key.created}};
    entry["qps"] = key.qps ? ordered_json(*key.qps) : ordered_json();
    entry["daily_quota"] = key.daily_quota ? ordered_json(*key.daily_quota) : ordered_json();
    all.push_back(std::move(entry));
  }
  if (arguments.json) std::cout << all << '\n';
}

void verify(const std::filesystem::path& file) {
  const AuditVerdict verdict = verify_audit_log(file);
  if (!verdict.fault.empty())
    throw Error(ErrorKind::kBadModel,
                "'" + file.string() + "': line " + std::to_string(verdict.lines + 1) + " " + verdict.fault);
  std::cout << verdict.lines << " lines, unbroken; the last hash is " << verdict.head << '\n';
}

}  // namespace

void add_keys_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* keys = app.add_subcommand("keys", "who may call the service");
  keys->require_subcommand(1);

  CLI::App* add = keys->add_subcommand("add", "make a key; it is printed once");
  add_file(*add, *arguments);
  add->add_option("--name", arguments->key.name, "unique; [A-Za-z0-9._-]{1,64}")->required();
  add->add_option("--role", arguments->role, "viewer: lists models; editor: edits, too; admin: as an editor")
      ->check(CLI::IsMember({"viewer", "editor", "admin"}))
      ->capture_default_str();
  add->add_option("--qps", arguments->qps, "edit requests a second; default: any number")
      ->check(CLI::Range(0.001, 100'000.0));
  add->add_option("--daily-quota", arguments->daily_quota, "pictures a day (UTC); default: any number")
      ->check(CLI::Range(0, 1'000'000'000));
  add->add_flag("--json", arguments->json, R"(print {"name","key","role"})");
  add->callback([arguments, add] { service::add(*arguments, *add); });

  CLI::App* list = keys->add_subcommand("list", "names, roles and limits");
  add_file(*list, *arguments);
  list->add_flag("--json", arguments->json, "print a list of objects");
  list->callback([arguments] { service::list(*arguments); });

  CLI::App* revoke = keys->add_subcommand("revoke", "take a key out");
  add_file(*revoke, *arguments);
  revoke->add_option("--name", arguments->key.name, "the key's name")->required();
  revoke->callback([arguments] { revoke_key(arguments->file, arguments->key.name); });
}

void add_audit_command(CLI::App& app) {
  const auto file = std::make_shared<std::filesystem::path>();
  CLI::App* audit = app.add_subcommand("audit", "the log of who asked for what");
  audit->require_subcommand(1);
  CLI::App* verify = audit->add_subcommand("verify", "prove that no line was changed, left out or moved; else exit 3");
  verify->add_option("FILE", *file, "audit.jsonl in the service's state folder")->required();
  verify->callback([file] { service::verify(*file); });
}

}  // namespace holdall::runtime::service
