// The launcher's end of systemd's readiness protocol: datagrams of NAME=value lines on NOTIFY_SOCKET.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

struct Notification {
  bool ready = false, stopping = false;  // READY=1, STOPPING=1
  std::optional<std::string> status;     // STATUS=
};

// Parses one datagram; unknown lines are left alone, control characters in a status become spaces.
Notification parse_notification(const std::string& datagram);

// One abstract address per service process, so that a late word of one is never taken for another's.
class NotifySocket {
 public:
  // Binds an address that the kernel chooses. Throws Error{kInternal}.
  NotifySocket();

  const std::string& address() const { return address_; }  // the value of NOTIFY_SOCKET: "@…"
  int fd() const { return socket_.get(); }

  // What has arrived, in order, without waiting. Abstract addresses have no permissions: datagrams of another user
  // are dropped.
  std::vector<Notification> receive() const;

 private:
  bundle::FileDescriptor socket_;
  std::string address_;
};

}  // namespace holdall::launcher
