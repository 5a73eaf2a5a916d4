#include "packer/interrupt.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "bundle/error.h"

namespace holdall::packer {
namespace {

[[noreturn]] void interrupted() {
  throw bundle::Error(bundle::ErrorKind::kInterrupted, "interrupted");
}

}  // namespace

Interrupt::Interrupt() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, &previous_);
  descriptor_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor_ < 0) throw bundle::system_error(errno, "watch for", "SIGINT");
}

Interrupt::~Interrupt() {
  ::close(descriptor_);
  ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
}

void Interrupt::check() const {
  signalfd_siginfo info{};
  if (::read(descriptor_, &info, sizeof info) == sizeof info) came_ = true;  // a signal can be read but once
  if (came_) interrupted();
}

int Interrupt::wait(pid_t child) const {
  const int watched = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (watched < 0) throw bundle::system_error(errno, "watch", "process " + std::to_string(child));
  bool stopped = false;
  for (;;) {
    std::array<pollfd, 2> events{{{watched, POLLIN, 0}, {stopped ? -1 : descriptor_, POLLIN, 0}}};
    if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR) break;
    if ((events[1].revents & POLLIN) != 0) {
      stopped = true;
      ::kill(child, SIGTERM);
    }
    if ((events[0].revents & POLLIN) != 0) break;
  }
  ::close(watched);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (stopped) interrupted();
  return status;
}

}  // namespace holdall::packer
