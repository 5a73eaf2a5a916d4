#include "runtime/worker/interrupts.h"

#include <unistd.h>
#include <csignal>
#include <thread>

namespace holdall::runtime::worker {

Interrupts::Interrupts() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([this, signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    const auto no_temporary_now = hold();
    _exit(130);
  }).detach();
}

}  // namespace holdall::runtime::worker
