#include "bundle/environment_fallbacks.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>
#include <vector>

namespace holdall::bundle {
namespace {

struct Fallback {
  CLI::Option* option;
  std::string variable;
};

std::string variable_of(const std::string& option) {
  std::string name = "HOLDALL_";
  for (const char c : option) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// Of one command. What an option needs may come from a variable, which the library would not wait for.
struct Fallbacks {
  std::vector<Fallback> all;
  std::vector<std::pair<CLI::Option*, CLI::Option*>> needs;  // who needs whom
};

bool applies(const CLI::Option& option, const Fallbacks& fallbacks) {
  const auto is_there = [](const CLI::Option* other) { return other->count() > 0; };
  const auto excluded = option.get_excludes(), needed = option.get_needs();
  return std::ranges::none_of(excluded, is_there) && std::ranges::all_of(needed, is_there) &&
         std::ranges::none_of(fallbacks.needs,
                              [&](const auto& need) { return need.first == &option && !is_there(need.second); });
}

void take(const Fallback& fallback, const Fallbacks& fallbacks) {
  CLI::Option& option = *fallback.option;
  const char* const value = std::getenv(fallback.variable.c_str());
  if (value == nullptr || *value == '\0' || option.count() > 0 || !applies(option, fallbacks)) return;
  option.add_result(value);
  const bool is_flag = option.get_items_expected_max() == 0;
  if (is_flag && !option.as<bool>()) {
    option.clear();
  } else {
    option.run_callback();
  }
}

}  // namespace

void add_environment_fallbacks(CLI::App& command, const std::set<std::string>& without) {
  Fallbacks fallbacks;
  for (CLI::Option* const option : command.get_options()) {
    if (option->get_lnames().empty() || option == command.get_help_ptr() || option == command.get_version_ptr())
      continue;
    const std::string& name = option->get_lnames().front();
    if (without.contains(name)) continue;
    const std::string variable = variable_of(name);
    // The library asks whether what is required is there before it hands over; and what is required excludes nothing.
    if (option->get_required()) {
      option->envname(variable);
      continue;
    }
    option->description(option->get_description() + " (Env:" + variable + ")");
    fallbacks.all.push_back({option, variable});
  }
  for (CLI::Option* const option : command.get_options()) {
    for (CLI::Option* const needed : option->get_needs()) {
      if (std::ranges::find(fallbacks.all, needed, &Fallback::option) == fallbacks.all.end()) continue;
      option->remove_needs(needed);
      fallbacks.needs.emplace_back(option, needed);
    }
  }
  command.parse_complete_callback([fallbacks = std::move(fallbacks)] {
    for (const Fallback& fallback : fallbacks.all) take(fallback, fallbacks);
    for (const auto& [option, needed] : fallbacks.needs)
      if (option->count() > 0 && needed->count() == 0) throw CLI::RequiresError(option->get_name(), needed->get_name());
  });
}

bool is_named(const CLI::App& command, const std::string& option) {
  return std::ranges::find(command.parse_order(), command.get_option(option)) != command.parse_order().end();
}

}  // namespace holdall::bundle
