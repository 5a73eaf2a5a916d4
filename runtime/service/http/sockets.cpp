#include "runtime/service/http/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <vector>

#include "runtime/error.h"

namespace holdall::runtime::service {
namespace {

constexpr int kFirstInherited = 3;  // sd_listen_fds(3)
constexpr int kBacklog = 4096;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

bool is_loopback(const Address& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  return address.storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

std::string url_of(const Address& address) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(address.get(), address.size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "unknown";
  const bool v6 = address.storage.ss_family == AF_INET6;
  return std::string("http://") + (v6 ? "[" : "") + host + (v6 ? "]:" : ":") + port;
}

Address address_of(int fd) {
  Address address;
  address.size = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.size) != 0) {
    const int error = errno;
    throw Error(ErrorKind::kInternal, std::string("cannot read a socket's address: ") + std::strerror(error));
  }
  return address;
}

void require_loopback(const Address& address) {
  if (!is_loopback(address))
    throw Error(
        ErrorKind::kBadRequest,
        "cannot serve edits on '" + url_of(address) +
            "': without keys the service listens on loopback only: make some (holdall-edit keys add) and use --keys, "
            "or use --host 127.0.0.1");
}

Address resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  if (failed != 0) throw Error(ErrorKind::kBadRequest, "cannot listen on '" + host + "': " + ::gai_strerror(failed));
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  return address;
}

Listener bind_listener(const Address& address) {
  const auto fail = [&](int error) {
    std::string message = "cannot listen on '" + url_of(address) + "': " + std::strerror(error);
    if (error == EADDRINUSE) message += ": another program has this port, choose one with --port or --health-port";
    return Error(error == EADDRNOTAVAIL ? ErrorKind::kBadRequest : ErrorKind::kStorage, message);
  };
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw fail(errno);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
               sizeof on);  // a port in TIME_WAIT; not one that another program holds
  if (::bind(fd, address.get(), address.size) != 0 || ::listen(fd, kBacklog) != 0) {
    const int error = errno;
    ::close(fd);
    throw fail(error);
  }
  return {fd, url_of(address_of(fd)), false};
}

Listener adopt(int fd) {
  int type = 0, listens = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
      ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens)
    throw Error(ErrorKind::kBadRequest, "inherited descriptor " + std::to_string(fd) + " is not a listening socket");
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return {fd, url_of(address_of(fd)), true};
}

int number_from(const char* name) {
  const char* text = std::getenv(name);
  int value = 0;
  if (text) std::from_chars(text, text + std::strlen(text), value);
  return value;
}

// As sd_listen_fds_with_names(3): nothing unless LISTEN_PID is us.
void adopt_inherited(Listeners& listeners) {
  if (number_from("LISTEN_PID") != ::getpid()) return;
  const int count = number_from("LISTEN_FDS");
  std::vector<std::string> names;
  const char* listed = std::getenv("LISTEN_FDNAMES");
  std::istringstream stream(listed ? listed : "http:health");
  for (std::string name; std::getline(stream, name, ':');) names.push_back(name);
  for (int i = 0; i < count; ++i) {
    const std::string name = static_cast<std::size_t>(i) < names.size() ? names[static_cast<std::size_t>(i)] : "";
    if (name == "http")
      listeners.http = adopt(kFirstInherited + i);
    else if (name == "health")
      listeners.health = adopt(kFirstInherited + i);
    else
      throw Error(ErrorKind::kBadRequest,
                  "inherited socket '" + name + "' is not known: LISTEN_FDNAMES must be http:health");
  }
}

}  // namespace

Listeners open_listeners(const Options& options) {
  Listeners listeners;
  adopt_inherited(listeners);
  if (listeners.http.fd >= 0) {
    if (options.keys.empty()) require_loopback(address_of(listeners.http.fd));
  } else {
    const Address address = resolve(options.host, options.port);
    if (options.keys.empty()) require_loopback(address);
    listeners.http = bind_listener(address);
  }
  if (listeners.health.fd < 0) listeners.health = bind_listener(resolve(options.host, options.health_port));
  return listeners;
}

}  // namespace holdall::runtime::service
