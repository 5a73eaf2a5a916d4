// holdall: unpacks, checks, runs, upgrades and rolls back bundles.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "bundle/bundle_info.h"
#include "bundle/environment_fallbacks.h"
#include "bundle/error.h"
#include "launcher/commands.h"

namespace {

using namespace holdall::launcher;
using holdall::bundle::Error;
using holdall::bundle::ErrorKind;

// As bin/conda-unpack of a bundle, the program relocates the tree that it lies in.
bool is_conda_unpack(const char* name) {
  return std::filesystem::path(name ? name : "").filename() == "conda-unpack";
}

// What exec runs is not ours to parse: cuts the command line off before "--" and returns what stands behind.
std::vector<std::string> take_program(int& argc, char** argv) {
  char** const end = argv + argc;
  char** const mark = std::find_if(argv, end, [](const char* word) { return std::string_view(word) == "--"; });
  if (argc < 2 || std::string_view(argv[1]) != "exec" || mark == end) return {};
  argc = static_cast<int>(mark - argv);
  return {mark + 1, end};
}

// Options may also stand before the command: `holdall --root DIR ls` is `holdall ls --root DIR`.
void put_command_first(int argc, char** argv) {
  constexpr std::array kWithValue = {"--root", "--name", "--lock-timeout"};
  char** const end = argv + argc;
  char** word = argv + 1;
  while (word < end && **word == '-')
    word += std::find(kWithValue.begin(), kWithValue.end(), std::string_view(*word)) == kWithValue.end() ? 1 : 2;
  if (word < end) std::rotate(argv + 1, word, word + 1);
}

void check_command(const CLI::App& app, const std::string& word) {
  if (word.starts_with('-')) return;
  std::string commands;
  for (const CLI::App* const command : app.get_subcommands({})) {
    if (command->get_name() == word) return;
    commands += ' ' + command->get_name();
  }
  throw Error(ErrorKind::kUsage, (word.empty() ? "no command is given" : "there is no command '" + word + "'") +
                                     "; the commands are:" + commands + " (--help says what they do)");
}

int run(int argc, char** argv) {
  const bool unpack = is_conda_unpack(argv[0]);
  CLI::App app("Unpacks, checks, runs, upgrades and rolls back portable inference services.",
               unpack ? "conda-unpack" : "holdall");
  app.set_version_flag("--version", "holdall " HOLDALL_VERSION " (bundle format " +
                                        std::to_string(holdall::bundle::kFormatVersion) + ")");
  app.footer(holdall::bundle::exit_code_help());

  CommandResult result;
  if (unpack) {
    add_unpack_of_conda(app, result);
  } else {
    put_command_first(argc, argv);
    result.program = take_program(argc, argv);
    app.require_subcommand(1);
    add_commands(app, result);
    for (CLI::App* const command : app.get_subcommands({})) holdall::bundle::add_environment_fallbacks(*command);
    check_command(app, argc > 1 ? argv[1] : "");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(ErrorKind::kUsage);
  }
  if (!std::cout.flush()) throw holdall::bundle::system_error(errno, "write", "standard output");
  return result.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::cerr << "holdall: " << error.what() << '\n';
    return exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    std::cerr << "holdall: out of memory\n";
  } catch (const std::exception& error) {
    std::cerr << "holdall: internal error: " << error.what() << '\n';
  }
  return exit_code(ErrorKind::kInternal);
}
