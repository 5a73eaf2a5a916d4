// systemd's notification protocol, sd_notify(3): how the launcher or systemd learns that the service is ready.
#pragma once

#include <string>
#include <string_view>

namespace holdall::runtime::service {

class Notifier {
 public:
  // `socket_name`: NOTIFY_SOCKET's value, a path or '@' and an abstract name; empty: nothing is sent.
  explicit Notifier(std::string socket_name) : socket_name_(std::move(socket_name)) {}
  static Notifier from_environment();

  // Best effort: a supervisor that does not listen must not stop the service.
  void ready() const { send("READY=1"); }
  void stopping() const { send("STOPPING=1"); }
  void status(std::string_view text) const;

 private:
  void send(const std::string& state) const;
  std::string socket_name_;
};

}  // namespace holdall::runtime::service
