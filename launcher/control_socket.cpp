#include "launcher/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

constexpr const char* kName = "control";
constexpr std::size_t kLongestLine = 64 * 1024;
constexpr std::size_t kMostClients = 64;
constexpr std::chrono::seconds kLineDeadline{5};

// A socket's path ends at 107 bytes, a store's may be longer: the way leads through the folder's descriptor.
sockaddr_un control_address(int directory_fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory_fd) + "/" + kName;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool may_command(const FileDescriptor& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

}  // namespace

ControlServer::ControlServer(int directory_fd) : directory_fd_(directory_fd) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) throw bundle::system_error(errno, "open", kName);
  if (::unlinkat(directory_fd, kName, 0) != 0 && errno != ENOENT) throw bundle::system_error(errno, "replace", kName);
  const sockaddr_un address = control_address(directory_fd);
  // The mode of the socket's inode is the mode of the file that bind makes (unix(7)).
  if (::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), static_cast<int>(kMostClients)) != 0)
    throw bundle::system_error(errno, "listen on", kName);
  socket_ = std::move(socket);
}

void ControlServer::stop_listening() {
  if (!socket_) return;
  ::unlinkat(directory_fd_, kName, 0);
  socket_.reset();
}

void ControlServer::add_to(std::vector<pollfd>& polled) const {
  if (socket_) polled.push_back({socket_.get(), POLLIN, 0});
  for (const auto& [id, client] : clients_)
    if (client.deadline) polled.push_back({client.socket.get(), POLLIN, 0});
}

void ControlServer::accept_all() {
  while (socket_) {
    FileDescriptor socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    if (!may_command(socket)) continue;
    const auto silent = std::find_if(clients_.begin(), clients_.end(),
                                     [](const auto& item) { return item.second.deadline.has_value(); });
    if (clients_.size() >= kMostClients) {
      if (silent == clients_.end()) continue;  // all of them wait for an answer
      clients_.erase(silent);                  // the one that has said nothing for longest
    }
    clients_.emplace(next_client_++, Client{std::move(socket), {}, Clock::now() + kLineDeadline});
  }
}

std::vector<ControlServer::Request> ControlServer::take_requests() {
  accept_all();
  std::vector<Request> requests;
  for (auto item = clients_.begin(); item != clients_.end();) {
    Client& client = item->second;
    bool keep = true;
    while (client.deadline) {
      std::array<char, 4096> buffer{};
      const ssize_t size = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == EAGAIN) break;
      if (size <= 0) {
        keep = false;
        break;
      }
      client.received.append(buffer.data(), static_cast<std::size_t>(size));
      const std::size_t end = client.received.find('\n');
      if (end != std::string::npos) {
        requests.push_back({item->first, client.received.substr(0, end)});
        client.deadline.reset();
      } else if (client.received.size() > kLongestLine) {
        keep = false;
        break;
      }
    }
    if (client.deadline && Clock::now() >= *client.deadline) keep = false;
    item = keep ? std::next(item) : clients_.erase(item);
  }
  return requests;
}

std::optional<ControlServer::Clock::time_point> ControlServer::next_deadline() const {
  std::optional<Clock::time_point> next;
  for (const auto& [id, client] : clients_)
    if (client.deadline && (!next || *client.deadline < *next)) next = client.deadline;
  return next;
}

void ControlServer::answer(std::uint64_t id, const std::string& line, After after) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) return;
  const std::string text = line + "\n";
  // Answers are far smaller than a socket's buffer, so this does not wait and does not split.
  (void)::send(client->second.socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (after == After::kClose) clients_.erase(client);
}

bool is_supervised(const std::string& store) {
  const FileDescriptor folder(::open(store.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  try {
    return folder && connect_control(folder.get());
  } catch (const bundle::Error&) {
    return false;
  }
}

std::optional<FileDescriptor> connect_control(int directory_fd) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) throw bundle::system_error(errno, "open", kName);
  const sockaddr_un address = control_address(directory_fd);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  if (errno == ENOENT || errno == ECONNREFUSED) return std::nullopt;
  throw bundle::system_error(errno, "connect to", kName);
}

std::string exchange_line(const FileDescriptor& socket, const std::string& line,
                          std::optional<std::chrono::milliseconds> timeout) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t size = ::send(socket.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;  // it has gone: the end of the answer tells
    sent += static_cast<std::size_t>(size);
  }
  const auto end = std::chrono::steady_clock::now() + timeout.value_or(std::chrono::milliseconds(0));
  std::string received;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd polled{socket.get(), POLLIN, 0};
    const int ready = ::poll(&polled, 1, timeout ? std::max(0, static_cast<int>(left.count())) : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) throw Error(ErrorKind::kNotReady, "the supervisor does not answer");
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    received.append(buffer.data(), static_cast<std::size_t>(size));
  }
  const std::size_t newline = received.find('\n');
  if (newline == std::string::npos) throw Error(ErrorKind::kNotReady, "the supervisor ended before it answered");
  return received.substr(0, newline);
}

}  // namespace holdall::launcher
