#include "runtime/service/worker/spawn.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "runtime/error.h"

namespace holdall::runtime::service {
namespace {

std::vector<char*> environment_without_ours() {
  std::vector<char*> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("LISTEN_") && !text.starts_with("NOTIFY_SOCKET=")) out.push_back(*entry);
  }
  out.push_back(nullptr);
  return out;
}

// close_range(2) is younger than some kernels that we run on.
void close_from(unsigned first, unsigned last) noexcept {
  if (first > last) return;
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, first, last, 0) == 0) return;
#endif
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto end = std::min<rlim_t>(limit.rlim_cur, 1 << 20);
  for (rlim_t fd = first; fd < end && fd <= last; ++fd) ::close(static_cast<int>(fd));
}

// Between fork and exec in a process with threads: async-signal-safe calls only.
[[noreturn]] void become_worker(const char* program, char* const* argv, char* const* envp, int fd,
                                pid_t parent) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  close_from(3, static_cast<unsigned>(fd) - 1);
  close_from(static_cast<unsigned>(fd) + 1, ~0u);
  ::fcntl(fd, F_SETFD, 0);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(program, argv, envp);
  ::_exit(127);
}

}  // namespace

Spawned spawn_worker(const std::string& program, std::vector<std::string> arguments) {
  if (::access(program.c_str(), X_OK) != 0) {
    const int error = errno;
    throw Error(ErrorKind::kNotFound, "cannot start the worker '" + program + "': " + std::strerror(error));
  }
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    const int error = errno;
    throw Error(ErrorKind::kInternal, std::string("cannot make a socket pair: ") + std::strerror(error));
  }
  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv;
  for (auto& argument : arguments) {
    if (argument == "{fd}") argument = std::to_string(pair[1]);
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  const auto envp = environment_without_ours();
  const pid_t parent = ::getpid(), pid = ::fork();
  const int error = errno;
  if (pid == 0) become_worker(program.c_str(), argv.data(), envp.data(), pair[1], parent);
  ::close(pair[1]);
  if (pid < 0) {
    ::close(pair[0]);
    throw Error(ErrorKind::kInternal, std::string("cannot start the worker: ") + std::strerror(error));
  }
  return {pid, pair[0]};
}

}  // namespace holdall::runtime::service
