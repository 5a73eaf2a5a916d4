#include "launcher/signal_watch.h"

#include <sys/signalfd.h>

#include <cerrno>

#include "bundle/error.h"

namespace holdall::launcher {

SignalWatch::SignalWatch() {
  sigset_t watched, held;
  ::sigemptyset(&watched);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&watched, number);
  held = watched;
  ::sigaddset(&held, SIGPIPE);
  fd_.reset(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) throw bundle::system_error(errno, "watch", "signals");
  // A parent that ignores SIGCHLD hands that on, and then nothing can be waited for.
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &plain, &child_before_);
  ::pthread_sigmask(SIG_BLOCK, &held, &before_);
}

SignalWatch::~SignalWatch() {
  take();
  const timespec now{};
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  if (::sigismember(&before_, SIGPIPE) == 0) ::sigtimedwait(&pipe, nullptr, &now);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  ::sigaction(SIGCHLD, &child_before_, nullptr);
}

std::vector<int> SignalWatch::take() const {
  std::vector<int> numbers;
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
    numbers.push_back(static_cast<int>(info.ssi_signo));
  return numbers;
}

}  // namespace holdall::launcher
