#include "packer/provide.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "bundle/error.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::Error;
using bundle::ErrorKind;

std::string shown(const std::vector<std::string>& command) {
  std::string text;
  for (const std::string& word : command) text += (text.empty() ? "" : " ") + word;
  return text;
}

// Its exit status, 128 + signal if it was killed. Throws Error{kCannotPack} if it cannot be started.
int run(const std::vector<std::string>& command, const std::string& folder, const Interrupt& interrupt) {
  std::vector<std::string> words = command;
  // A relative program is relative to the manifest's folder, as every path of a manifest.
  if (words[0].find('/') != std::string::npos) words[0] = (fs::path(folder) / words[0]).lexically_normal().string();
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);  // stdout is for the result only
  ::posix_spawnattr_setsigmask(&attributes, &interrupt.previous_mask());
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  const int error = ::posix_spawnp(&child, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw Error(ErrorKind::kCannotPack, bundle::system_error(error, "run", shown(command)).what());
  const int status = interrupt.wait(child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void provide_inputs(const Manifest& manifest, Providing providing, const Interrupt& interrupt,
                    const std::function<void(const std::string&)>& say) {
  for (const Provision& provision : manifest.provide) {
    std::error_code ignored;
    if (fs::exists(provision.path, ignored)) continue;
    const std::string hint = "run '" + shown(provision.command) + "' in '" + manifest.folder + "'";
    if (providing == Providing::kRefuse) {
      throw Error(ErrorKind::kCannotPack, "'" + provision.path + "' is missing: " + hint);
    }
    say("'" + provision.path + "' is missing: running '" + shown(provision.command) + "'");
    const int status = run(provision.command, manifest.folder, interrupt);
    if (status != 0) {
      throw Error(ErrorKind::kCannotPack, "'" + provision.path + "' is missing: '" + shown(provision.command) +
                                              "' failed with exit status " + std::to_string(status));
    }
    if (!fs::exists(provision.path, ignored)) {
      throw Error(ErrorKind::kCannotPack,
                  "'" + provision.path + "' is missing: '" + shown(provision.command) + "' did not make it");
    }
  }
}

}  // namespace holdall::packer
