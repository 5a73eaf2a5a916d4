#include "runtime/service/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace holdall::runtime::service {

Notifier Notifier::from_environment() {
  const char* name = std::getenv("NOTIFY_SOCKET");
  return Notifier(name ? name : "");
}

void Notifier::status(std::string_view text) const {
  std::string line = "STATUS=" + std::string(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  send(line);
}

void Notifier::send(const std::string& state) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_name_.empty() || socket_name_.size() > sizeof address.sun_path) return;
  std::copy(socket_name_.begin(), socket_name_.end(), address.sun_path);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name_.size());
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
  ::close(fd);
}

}  // namespace holdall::runtime::service
