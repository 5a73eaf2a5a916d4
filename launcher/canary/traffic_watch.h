// Asks a service for its metrics, and never waits for the answer.
#pragma once

#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/canary/request_counts.h"

namespace holdall::launcher {

// Requests since the watch began. A service that was started anew, and counts from zero again, only adds to them.
class TrafficWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // `listener`: the socket that it answers /metrics on, borrowed. kNew: its process is new, so all that it counts is
  // counted here.
  enum class Service { kNew, kOld };
  TrafficWatch(int listener, Service service);
  TrafficWatch(TrafficWatch&&) noexcept;
  TrafficWatch& operator=(TrafficWatch&&) noexcept;
  ~TrafficWatch();

  void ask();
  // While is_asking(), go_on() is to be called when what add_to() adds is ready, and at the deadline.
  bool is_asking() const;
  void add_to(std::vector<pollfd>& polled) const;
  Clock::time_point deadline() const;
  void go_on();

  const RequestCounts& counts() const;
  const std::string& fault() const;  // why the last question had no answer; empty: it had one

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::launcher
