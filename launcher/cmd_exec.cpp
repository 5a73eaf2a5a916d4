// holdall exec [ID] -- PROGRAM [ARGUMENTS]: a program of a release, in the environment that its service gets.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>

#include "bundle/error.h"
#include "launcher/commands.h"
#include "launcher/driver_links.h"
#include "launcher/options.h"
#include "launcher/service_command.h"
#include "launcher/service_options.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

// As shells, env(1) and nohup(1) say it.
constexpr int kCannotRun = 126, kNoSuchProgram = 127;

struct ExecOptions {
  CommonOptions common;
  std::string release;
  bool keep_environment = false;
};

std::string release_of(const Store& store, const std::string& asked) {
  if (!asked.empty()) return asked;
  if (const auto current = store.current()) return current->release;
  throw Error(ErrorKind::kNotFound, "no release is active in '" + store.path() +
                                        "': choose one with 'holdall use', or name one here (holdall ls)");
}

bool is_there(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

// What the service gets, and what activating a conda environment or a venv adds.
Environment environment_of(const bundle::BundleInfo& info, const ServicePlace& place, KeepEnvironment keep) {
  Environment result = service_environment(current_environment(), info, place, keep);
  std::string& path = result["PATH"];
  path = place.tree + "/bin" + (path.empty() ? "" : ":" + path);
  if (is_there(place.tree + "/conda-meta")) result["CONDA_PREFIX"] = place.tree;
  if (is_there(place.tree + "/pyvenv.cfg")) result["VIRTUAL_ENV"] = place.tree;
  return result;
}

// Replaces this process. Returns only what to exit with when no file of that name can be run: looked for in PATH
// unless the name has a slash, as execvp(3) does.
int replace_by(const std::vector<std::string>& program, const Environment& environment) {
  std::vector<std::string> text;
  for (const auto& [name, value] : environment) text.push_back(name + "=" + value);
  std::vector<char*> arguments, variables;
  for (const std::string& argument : program) arguments.push_back(const_cast<char*>(argument.c_str()));
  for (std::string& variable : text) variables.push_back(variable.data());
  arguments.push_back(nullptr);
  variables.push_back(nullptr);

  const std::string& name = program.front();
  int error = ENOENT;
  const auto run = [&](const std::string& file) {
    ::execve(file.c_str(), arguments.data(), variables.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;  // found, but: more worth telling
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
  };
  if (name.find('/') != std::string::npos) {
    run(name);
  } else {
    std::istringstream folders(environment.at("PATH"));
    for (std::string folder; std::getline(folders, folder, ':');)
      if (!run((folder.empty() ? "." : folder) + "/" + name)) break;
  }
  std::cerr << "holdall: cannot run '" << name
            << "': " << (error == ENOENT ? "no such program in the release or on this host" : std::strerror(error))
            << '\n';
  return error == ENOENT ? kNoSuchProgram : kCannotRun;
}

int exec(const ExecOptions& options, const std::vector<std::string>& program) {
  if (program.empty()) throw Error(ErrorKind::kUsage, "exec needs a program: holdall exec [ID] -- PROGRAM [ARGUMENTS]");
  const Store store = open_installed(options.common, options.release);
  const std::string release = release_of(store, options.release);
  // The program inherits it, as a service does: until its last process has ended, gc leaves the release alone.
  const bundle::FileDescriptor lease = store.lease(release);
  ServicePlace place{store.tree(release), store.path() + "/data"};
  if (::mkdirat(store.directory_fd(), "data", 0700) != 0 && errno != EEXIST)
    throw bundle::system_error(errno, "make", place.state);
  const bundle::BundleInfo info = store.info(release);
  if (info.requires_host.cuda)
    place.driver = link_driver(store, load_service_options(store).value_or(ServiceOptions{}).libcuda);
  return replace_by(
      program, environment_of(info, place, options.keep_environment ? KeepEnvironment::kYes : KeepEnvironment::kNo));
}

}  // namespace

void add_exec(CLI::App& app, CommandResult& result) {
  auto options = std::make_shared<ExecOptions>();
  CLI::App* command = app.add_subcommand("exec",
                                         "run a program in the environment of a release: holdall exec [ID] -- PROGRAM "
                                         "[ARGUMENTS]; its exit status, or 127: no such program, 126: cannot be run");
  command->add_option("ID", options->release, "release id, as install and ls print it [the active one]");
  command->add_flag("--keep-env", options->keep_environment, kKeepEnvironmentHelp);
  add_common_options(*command, options->common);
  command->callback([options, &result] { result.exit_code = exec(*options, result.program); });
}

}  // namespace holdall::launcher
