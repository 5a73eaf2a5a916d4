// The worker process: started, restarted with back-off, spoken to in frames. Lives on the service's thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "runtime/ipc/channel.h"
#include "runtime/service/options.h"

namespace boost::asio {
class io_context;
}

namespace holdall::runtime::service {

// What the worker does, as it happens. Called on the service's thread.
class WorkerEvents {
 public:
  virtual ~WorkerEvents() = default;
  virtual void on_frame(ipc::Frame frame) = 0;
  // The process is gone and collected; `expected` after stop(). It is not started again by itself.
  virtual void on_exit(const std::string& reason, bool expected) = 0;
};

class WorkerProcess {
 public:
  // `io` and `events` outlive it; call on the process's first thread, whose end the worker's life is tied to.
  WorkerProcess(boost::asio::io_context& io, const Options& options, WorkerEvents& events);
  ~WorkerProcess();  // kills

  // Throws runtime::Error{kNotFound} if the program is missing; a program that fails after that is an on_exit().
  void start();
  void send(const ipc::Frame& frame);  // dropped if the worker is gone: on_exit() tells
  void stop();                         // asks it to finish what runs and to exit
  void kill();
  bool running() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
