// SIGINT and SIGTERM as something to ask for, so that an interrupted run unwinds like any other failure.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <csignal>

namespace holdall::packer {

// Blocks both signals in the calling thread (and those it starts later) and collects them. Make it first in main.
class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt();

  // Throws Error{kInterrupted} if one of the signals came, from then on at each call. From any thread.
  void check() const;

  // Waits for `child` and returns its wait status; a signal is passed on to it, and then thrown as check() does.
  int wait(pid_t child) const;

  // The signal mask that a child should start with.
  const sigset_t& previous_mask() const { return previous_; }

 private:
  int descriptor_ = -1;
  mutable std::atomic<bool> came_{false};
  sigset_t previous_{};
};

}  // namespace holdall::packer
