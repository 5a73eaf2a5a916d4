#include "launcher/interrupt.h"

#include <ctime>

#include "bundle/error.h"

namespace holdall::launcher {

InterruptGuard::InterruptGuard() {
  ::sigemptyset(&held_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&held_, signal);
  ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
}

InterruptGuard::~InterruptGuard() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void InterruptGuard::check() const {
  const timespec now{};
  if (::sigtimedwait(&held_, nullptr, &now) > 0) throw bundle::Error(bundle::ErrorKind::kInterrupted, "interrupted");
}

}  // namespace holdall::launcher
