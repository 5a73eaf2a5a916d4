// A listening TCP socket that outlives the services that accept on it, and a second one that gets a share of its
// connections.
#pragma once

#include <string>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

class ListeningSocket {
 public:
  // `host`: an IPv4 or IPv6 address ("::" takes both), or "localhost". `port` 0: any free one. Throws Error{kUsage} for
  // another host or port, Error{kBusy} if the port is taken, Error{kStorage} if the user may not have it.
  ListeningSocket(const std::string& host, int port);

  // Another socket at the same address. It gets no connections until set_share(), and only one at a time may live.
  // Throws Error{kIncompatible} where the kernel cannot share (before Linux 4.5).
  ListeningSocket beside() const;

  // How many of a hundred new connections, drawn by lot, go to the socket beside this one. What that has queued stays
  // there. False: the kernel did not do it.
  bool set_share(int percent) const;

  bool has_waiting() const;  // connections that nobody has accepted yet

  int fd() const { return socket_.get(); }
  int port() const { return port_; }
  const std::string& url() const { return url_; }  // "http://127.0.0.1:8080", "http://[::1]:8080"

 private:
  ListeningSocket() = default;

  bundle::FileDescriptor socket_;
  int port_ = 0;
  std::string url_;
};

}  // namespace holdall::launcher
