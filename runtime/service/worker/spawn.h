// fork and exec of the worker, with nothing inherited but its socket and the standard streams.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace holdall::runtime::service {

struct Spawned {
  pid_t pid = -1;
  int fd = -1;  // our end of the socket pair, the caller's to close
};

// `arguments`: all of argv after the program; "{fd}" is replaced by the number of the child's end. The child is killed
// when the calling thread ends, ignores SIGINT and SIGTERM (a terminal or a service manager sends them to the whole
// group, and it is for the service to drain), and does not see LISTEN_* and NOTIFY_SOCKET. Throws
// runtime::Error{kNotFound} if the program cannot be executed.
Spawned spawn_worker(const std::string& program, std::vector<std::string> arguments);

}  // namespace holdall::runtime::service
