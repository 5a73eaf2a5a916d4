// One process of a service: started with its sockets, its lease and its readiness socket, ended with its whole group.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "launcher/notify_socket.h"
#include "launcher/service_command.h"

namespace holdall::launcher {

struct ServiceStart {
  std::vector<std::string> arguments;  // arguments[0]: absolute path of the program
  Environment environment;             // without LISTEN_* and NOTIFY_SOCKET
  std::string working_folder;
  int http = -1, health = -1;  // become descriptors 3 and 4: LISTEN_FDNAMES=http:health
  std::vector<int> kept_open;  // leases and locks that must last as long as the service
};

// How a process ended, in words: "exited with status 3", "was killed by signal 9 (Killed)".
std::string describe_exit(int wait_status);

class ServiceProcess {
 public:
  // Forks from the calling thread: the service gets SIGTERM when that thread ends (PR_SET_PDEATHSIG), so call it from
  // the main one. The service has a process group of its own, so that Ctrl-C in a terminal reaches the launcher alone,
  // no new privileges, /dev/null as stdin, the launcher's stderr as stdout and stderr. Throws Error if it cannot be
  // run.
  explicit ServiceProcess(const ServiceStart& start);
  ServiceProcess(ServiceProcess&&) noexcept;
  ServiceProcess& operator=(ServiceProcess&&) noexcept;
  ~ServiceProcess();  // kills what still runs

  pid_t pid() const { return pid_; }
  const NotifySocket& notify() const { return notify_; }

  void terminate() const;  // SIGTERM to the service: drain
  void kill() const;       // SIGKILL to its whole group

  // Its wait status once it has ended, without waiting. What is left of its group is killed then.
  std::optional<int> reap();

 private:
  NotifySocket notify_;
  pid_t pid_ = -1;
};

}  // namespace holdall::launcher
