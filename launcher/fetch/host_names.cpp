#include "launcher/fetch/host_names.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>

#include <array>
#include <memory>
#include <mutex>

#include "bundle/error.h"
#include "launcher/fetch/failure.h"

namespace holdall::launcher {
namespace {

constexpr int kPollMilliseconds = 200;

struct Answer {
  bool done = false;
  int status = ARES_SUCCESS;
  std::vector<std::string> addresses;
};

std::string numeric(const ares_addrinfo_node& node) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* const address =
      node.ai_family == AF_INET
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(node.ai_addr)->sin_addr)
          : &reinterpret_cast<const sockaddr_in6*>(node.ai_addr)->sin6_addr;
  return ::inet_ntop(node.ai_family, address, text.data(), text.size()) != nullptr ? text.data() : "";
}

void take(void* context, int status, int /*timeouts*/, ares_addrinfo* found) {
  Answer& answer = *static_cast<Answer*>(context);
  answer.done = true;
  answer.status = status;
  for (const ares_addrinfo_node* node = found != nullptr ? found->nodes : nullptr; node != nullptr;
       node = node->ai_next)
    if (node->ai_family == AF_INET || node->ai_family == AF_INET6) answer.addresses.push_back(numeric(*node));
  if (found != nullptr) ares_freeaddrinfo(found);
}

void wait(ares_channel channel) {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const auto bits = static_cast<unsigned>(ares_getsock(channel, sockets.data(), static_cast<int>(sockets.size())));
  std::vector<pollfd> polled;
  for (unsigned i = 0; i < sockets.size(); ++i) {
    short events = 0;
    if (ARES_GETSOCK_READABLE(bits, i)) events = static_cast<short>(events | POLLIN);
    if (ARES_GETSOCK_WRITABLE(bits, i)) events = static_cast<short>(events | POLLOUT);
    if (events != 0) polled.push_back({.fd = sockets[i], .events = events, .revents = 0});
  }
  ::poll(polled.data(), polled.size(), kPollMilliseconds);
  for (const pollfd& one : polled)
    ares_process_fd(channel, (one.revents & ~POLLOUT) != 0 ? one.fd : ARES_SOCKET_BAD,
                    (one.revents & POLLOUT) != 0 ? one.fd : ARES_SOCKET_BAD);
  ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time-outs
}

}  // namespace

std::vector<std::string> addresses_of(const std::string& host, std::chrono::seconds timeout,
                                      const InterruptGuard& interrupt) {
  std::array<unsigned char, sizeof(in6_addr)> literal{};
  if (::inet_pton(AF_INET, host.c_str(), literal.data()) == 1 ||
      ::inet_pton(AF_INET6, host.c_str(), literal.data()) == 1)
    return {host};

  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  Answer answer;
  ares_channel channel = nullptr;
  if (const int status = ares_init(&channel); status != ARES_SUCCESS)
    throw FetchFailure(FetchFailure::Kind::kLasting,
                       "cannot start the resolver: " + std::string(ares_strerror(status)));
  const std::unique_ptr<ares_channeldata, decltype(&ares_destroy)> owner(channel, &ares_destroy);
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  ares_getaddrinfo(channel, host.c_str(), nullptr, &hints, take, &answer);
  while (!answer.done) {
    if (std::chrono::steady_clock::now() > deadline) ares_cancel(channel);
    interrupt.check();
    if (!answer.done) wait(channel);
  }
  if (!answer.addresses.empty()) return answer.addresses;
  const bool lasting = answer.status == ARES_ENOTFOUND || answer.status == ARES_ENODATA;
  throw FetchFailure(lasting ? FetchFailure::Kind::kLasting : FetchFailure::Kind::kPassing,
                     "cannot find the host '" + host + "': " + ares_strerror(answer.status) +
                         ": names are looked up in /etc/hosts and by DNS only: check the name, or give the address");
}

}  // namespace holdall::launcher
