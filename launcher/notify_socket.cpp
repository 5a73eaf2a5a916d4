#include "launcher/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sstream>

#include "bundle/error.h"

namespace holdall::launcher {

Notification parse_notification(const std::string& datagram) {
  Notification result;
  std::istringstream lines(datagram);
  for (std::string line; std::getline(lines, line);) {
    if (line == "READY=1") result.ready = true;
    if (line == "STOPPING=1") result.stopping = true;
    if (line.rfind("STATUS=", 0) == 0) {
      result.status = line.substr(7);
      for (char& c : *result.status)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
  }
  return result;
}

NotifySocket::NotifySocket() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  if (!socket_) throw bundle::system_error(errno, "open", "notify socket");
  const int on = 1;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An address without a name asks the kernel for a free abstract one (unix(7), "Autobind feature").
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) != 0)
    throw bundle::system_error(errno, "bind", "notify socket");
  socklen_t length = sizeof address;
  if (::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw bundle::system_error(errno, "name", "notify socket");
  address_ = "@" + std::string(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
}

std::vector<Notification> NotifySocket::receive() const {
  std::vector<Notification> result;
  std::array<char, 4096> buffer{};
  for (;;) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + 256> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return result;
    bool ours = false;
    for (cmsghdr* item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
      if (item->cmsg_level != SOL_SOCKET) continue;
      if (item->cmsg_type == SCM_CREDENTIALS) {
        ucred sender{};
        std::memcpy(&sender, CMSG_DATA(item), sizeof sender);
        ours = sender.uid == ::geteuid();
      } else if (item->cmsg_type == SCM_RIGHTS) {  // nobody asked for descriptors: do not keep them open
        for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= item->cmsg_len; at += sizeof(int)) {
          int fd = -1;
          std::memcpy(&fd, CMSG_DATA(item) + at, sizeof fd);
          ::close(fd);
        }
      }
    }
    if (ours && !(message.msg_flags & MSG_TRUNC))
      result.push_back(parse_notification(std::string(buffer.data(), static_cast<std::size_t>(size))));
  }
}

}  // namespace holdall::launcher
