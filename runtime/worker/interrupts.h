// Ctrl-C and its like, for a program that does one thing: exit at once with 130, but never between creating a temporary
// file and renaming it.
#pragma once

#include <mutex>

namespace holdall::runtime::worker {

class Interrupts {
 public:
  // Blocks SIGINT, SIGTERM and SIGHUP in this thread and all that it starts later, so call it first; another thread
  // waits for them. One per process, for its whole life.
  Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // While the result lives, an interruption waits.
  [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock(mutex_); }

 private:
  std::mutex mutex_;
};

}  // namespace holdall::runtime::worker
