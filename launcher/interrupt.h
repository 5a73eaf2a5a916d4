// SIGINT, SIGTERM and SIGHUP as something to ask for: while a guard lives they are held back, so that a step on the
// store can undo itself instead of dying half-way.
#pragma once

#include <csignal>

namespace holdall::launcher {

// Holds the three signals back for the calling thread and the threads it starts. The destructor lets them through
// again.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // Takes a signal that has come and throws Error{kInterrupted}. Any thread may call it.
  void check() const;

 private:
  sigset_t held_{}, before_{};
};

}  // namespace holdall::launcher
