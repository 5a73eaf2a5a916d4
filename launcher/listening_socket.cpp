#include "launcher/listening_socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool ipv6 = false;
};

// Numeric addresses only: a static program must not load the host's resolver modules.
Address parse_address(std::string host, int port) {
  if (port < 0 || port > 65535)
    throw Error(ErrorKind::kUsage, "port '" + std::to_string(port) + "' is not between 0 and 65535");
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  Address result;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&result.storage, &v4, result.size = sizeof v4);
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&result.storage, &v6, result.size = sizeof v6);
    result.ipv6 = true;
  } else {
    throw Error(ErrorKind::kUsage,
                "cannot listen on '" + host + "': not an IP address: use one such as 127.0.0.1, 0.0.0.0 or ::");
  }
  return result;
}

Error listen_error(int error, const std::string& url) {
  if (error == EADDRINUSE)
    return {ErrorKind::kBusy,
            "cannot listen on '" + url + "': the port is in use: stop what uses it, or choose another"};
  if (error == EACCES)
    return {ErrorKind::kStorage, "cannot listen on '" + url + "': permission denied: choose a port above 1023"};
  if (error == EADDRNOTAVAIL)
    return {ErrorKind::kUsage, "cannot listen on '" + url + "': this host has no such address"};
  return {ErrorKind::kInternal, "cannot listen on '" + url + "': " + std::strerror(error)};
}

std::string url_of(const Address& address, int port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ipv6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return "http://[" + std::string(text) + "]:" + std::to_string(port);
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  return "http://" + std::string(text) + ":" + std::to_string(port);
}

// A long queue: connections wait in it while one release makes room for the next.
constexpr int kBacklog = 4096;

// The number of the socket in its group that a new connection goes to: 1 for `percent` of a hundred, else 0.
bool attach_lot(int fd, int percent) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 100),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, static_cast<std::uint32_t>(percent), 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog lot{.len = sizeof program / sizeof *program, .filter = program};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &lot, sizeof lot) == 0;
}

[[noreturn]] void cannot_share(int error, const std::string& url) {
  throw Error(ErrorKind::kIncompatible, "cannot share the connections to '" + url + "': " + std::strerror(error) +
                                            ": this needs Linux 4.5 or newer: leave out --canary");
}

}  // namespace

ListeningSocket::ListeningSocket(const std::string& host, int port) {
  Address address = parse_address(host, port);
  socket_.reset(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) throw listen_error(errno, url_of(address, port));
  const int on = 1, off = 0;
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (address.ipv6 && ::setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
      ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address.storage), address.size) != 0 ||
      // After bind(), which alone refuses a port that is taken, and before listen(), which founds the group.
      (::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 && errno != ENOPROTOOPT) ||
      ::listen(socket_.get(), kBacklog) != 0)
    throw listen_error(errno, url_of(address, port));
  attach_lot(socket_.get(), 0);  // where it cannot be done, beside() says so
  socklen_t size = sizeof address.storage;
  if (::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address.storage), &size) != 0)
    throw listen_error(errno, url_of(address, port));
  port_ = ntohs(address.ipv6 ? reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port
                             : reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
  url_ = url_of(address, port_);
}

ListeningSocket ListeningSocket::beside() const {
  if (!set_share(0)) cannot_share(errno, url_);
  ListeningSocket other;
  other.port_ = port_;
  other.url_ = url_;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) cannot_share(errno, url_);
  other.socket_.reset(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1, off = 0;
  if (!other.socket_ || ::setsockopt(other.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::setsockopt(other.fd(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      (address.ss_family == AF_INET6 && ::setsockopt(other.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
      ::bind(other.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(other.fd(), kBacklog) != 0)
    cannot_share(errno, url_);
  return other;
}

bool ListeningSocket::set_share(int percent) const {
  return attach_lot(fd(), percent);
}

bool ListeningSocket::has_waiting() const {
  pollfd polled{fd(), POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

}  // namespace holdall::launcher
