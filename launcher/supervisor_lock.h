// At most one supervisor per store: a lock on ROOT/<name>/supervisor that the services of a supervisor share.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>

#include "bundle/file_descriptor.h"
#include "launcher/store.h"

namespace holdall::launcher {

// The lock lives as long as the supervisor or any service that it started: a service that outlives a killed supervisor
// is still draining and holds the model's memory, and the next supervisor waits for it.
class SupervisorLock {
 public:
  // Waits for the services of a killed supervisor, asking `interrupted` now and then; a living supervisor is
  // Error{kBusy} with its pid at once, and so are services that are still there after `patience`.
  SupervisorLock(const Store& store, std::chrono::milliseconds patience, const std::function<void()>& interrupted);
  ~SupervisorLock();
  SupervisorLock(const SupervisorLock&) = delete;
  SupervisorLock& operator=(const SupervisorLock&) = delete;

  int fd() const { return file_.get(); }

  // The pid is only what a message says; the lock is what counts.
  void note_service(pid_t service) const;

 private:
  void write(const std::string& text) const;
  bundle::FileDescriptor file_;
};

}  // namespace holdall::launcher
