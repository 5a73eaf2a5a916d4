// What probes see. The service writes a snapshot; the health listener's thread only ever reads it, so that it answers
// whatever the service is doing.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "runtime/service/http/http.h"

namespace holdall::runtime::service {

struct HealthState {
  bool ready = false;
  bool started = false;            // has been ready once
  std::string reason = "loading";  // why not ready: loading, warming, worker_restarting, draining
  std::string detail;              // for people
};

// Any thread.
class HealthBoard {
 public:
  void set(HealthState state) { state_.store(std::make_shared<const HealthState>(std::move(state))); }
  std::shared_ptr<const HealthState> get() const { return state_.load(); }

  // The service's loop beats once a second; it counts as alive for kLife after a beat.
  static constexpr std::chrono::seconds kLife{15};
  void beat() { last_beat_.store(Clock::now().time_since_epoch().count()); }
  bool alive() const { return Clock::now().time_since_epoch() - Clock::duration(last_beat_.load()) < kLife; }

 private:
  std::atomic<std::shared_ptr<const HealthState>> state_{std::make_shared<const HealthState>()};
  std::atomic<Clock::rep> last_beat_{Clock::now().time_since_epoch().count()};
};

class Metrics;

// The answer to a probe's path (/livez, /readyz, /startupz, /health, /v2/health/live, /v2/health/ready, /metrics), or
// nullopt for another path.
std::optional<HttpReply> answer_probe(const std::string& path, const HealthBoard& board, Metrics& metrics);

// A server for probes alone, on a thread of its own until destroyed. Takes over `listening_fd`.
class HealthServer {
 public:
  HealthServer(int listening_fd, const HealthBoard& board, Metrics& metrics);
  ~HealthServer();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
