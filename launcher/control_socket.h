// ROOT/<name>/control: a Unix socket on which commands talk to the supervisor, one JSON line each way.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

// The supervisor's end. It never waits for a client: lines have a length and a deadline, clients a number.
class ControlServer {
 public:
  using Clock = std::chrono::steady_clock;
  struct Request {
    std::uint64_t client = 0;
    std::string line;
  };

  // Binds <directory>/control with mode 0600 in place of a stale one; the caller holds the supervisor's lock. Throws
  // Error.
  explicit ControlServer(int directory_fd);
  ~ControlServer() { stop_listening(); }
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  void add_to(std::vector<pollfd>& polled) const;
  // Accepts, reads and drops what is late or too long. Clients of other users (root excepted) are turned away.
  std::vector<Request> take_requests();
  // Unlinks the socket; those who are connected stay. Before the supervisor's lock is let go.
  void stop_listening();
  // When take_requests() has to be called even though nothing arrives.
  std::optional<Clock::time_point> next_deadline() const;

  // Sends one line and closes; with `hold`, the connection stays open until the server is destroyed. A client that has
  // gone is no error.
  enum class After { kClose, kHold };
  void answer(std::uint64_t client, const std::string& line, After after = After::kClose);

 private:
  struct Client {
    bundle::FileDescriptor socket;
    std::string received;
    std::optional<Clock::time_point> deadline;  // of its line; absent once it has come
  };
  void accept_all();

  int directory_fd_;
  bundle::FileDescriptor socket_;
  std::map<std::uint64_t, Client> clients_;
  std::uint64_t next_client_ = 1;
};

// The command's end: connects to <directory>/control; nullopt if nobody listens there. Throws Error otherwise.
std::optional<bundle::FileDescriptor> connect_control(int directory_fd);

// Does a supervisor listen in the store of this folder? Not if there is no such folder.
bool is_supervised(const std::string& store);

// Sends a line and reads until the other side closes. Throws Error{kNotReady} if no line came (within `timeout`).
std::string exchange_line(const bundle::FileDescriptor& socket, const std::string& line,
                          std::optional<std::chrono::milliseconds> timeout);

}  // namespace holdall::launcher
