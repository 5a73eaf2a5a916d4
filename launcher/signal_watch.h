// SIGINT, SIGTERM, SIGHUP and SIGCHLD as a descriptor to poll.
#pragma once

#include <csignal>
#include <vector>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

// Holds the signals back for the calling thread while it lives, SIGPIPE too (a terminal that has gone must not end the
// launcher before its service); the destructor restores what was.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  int fd() const { return fd_.get(); }
  std::vector<int> take() const;  // what has come, without waiting

 private:
  bundle::FileDescriptor fd_;
  sigset_t before_{};
  struct sigaction child_before_ {};
};

}  // namespace holdall::launcher
