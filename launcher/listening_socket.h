// A listening TCP socket that outlives the services that accept on it.
#pragma once

#include <string>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

class ListeningSocket {
 public:
  // `host`: an IPv4 or IPv6 address ("::" takes both), or "localhost". `port` 0: any free one. Throws Error{kUsage} for
  // another host or port, Error{kBusy} if the port is taken, Error{kStorage} if the user may not have it.
  ListeningSocket(const std::string& host, int port);

  int fd() const { return socket_.get(); }
  int port() const { return port_; }
  const std::string& url() const { return url_; }  // "http://127.0.0.1:8080", "http://[::1]:8080"

 private:
  bundle::FileDescriptor socket_;
  int port_ = 0;
  std::string url_;
};

}  // namespace holdall::launcher
