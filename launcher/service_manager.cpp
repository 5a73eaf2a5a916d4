#include "launcher/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

void tell_service_manager(const std::string& address, const std::string& lines) {
  sockaddr_un to{};
  if (address.empty() || (address.front() != '/' && address.front() != '@') || address.size() >= sizeof to.sun_path)
    return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address.data(), address.size());
  if (address.front() == '@') to.sun_path[0] = '\0';
  const bundle::FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  (void)::sendto(socket.get(), lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), size);
}

}  // namespace holdall::launcher
