// The two listening sockets: inherited (LISTEN_FDS, as systemd and the launcher pass them) or our own.
#pragma once

#include <string>

#include "runtime/service/options.h"

namespace holdall::runtime::service {

struct Listener {
  int fd = -1;             // listens; the caller's to close
  std::string url;         // http://host:port
  bool inherited = false;  // others may accept on it too
};

struct Listeners {
  Listener http, health;
};

// Inherited sockets are found by LISTEN_FDNAMES "http" and "health" (without names: in this order); what is not
// inherited is bound as `options` say. Without a keys file the edits are served on loopback only. Throws
// runtime::Error: kStorage if the port is in use or forbidden, kBadRequest for an address that cannot be used.
Listeners open_listeners(const Options& options);

}  // namespace holdall::runtime::service
