// The supervisor's loop: one thread, one poll, no waiting for anybody. supervisor.h says what it does.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/error.h"
#include "launcher/canary/traffic_watch.h"
#include "launcher/control_socket.h"
#include "launcher/listening_socket.h"
#include "launcher/service_process.h"
#include "launcher/signal_watch.h"
#include "launcher/status.h"
#include "launcher/supervisor.h"
#include "launcher/supervisor_lock.h"

namespace holdall::launcher {

// A generation is in one of four places on its way: next_ (to be started), candidate_ (started, its gate still ahead),
// serving_ (its gate passed) and, on its way out, draining_. failed_ is a start whose failure the store does not know
// yet. A canary is no generation: it runs beside them, with sockets of its own.
class Supervision {
 public:
  // Takes the supervisor's lock and the sockets. Throws as supervise() does.
  Supervision(Store& store, const ServiceOptions& service, const SupervisorOptions& options);
  ~Supervision();
  Supervision(const Supervision&) = delete;
  Supervision& operator=(const Supervision&) = delete;

  int run();

 private:
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;

  struct Instance {
    Generation generation;
    bundle::Service service;
    ServiceProcess process;
    Clock::time_point begun = Clock::now();  // since it is in its place: started, serving
    Clock::time_point deadline;              // of its gate, of its drain
    std::string status;                      // its last STATUS=
    bool ready = false, stopping = false;    // it has said READY=1, STOPPING=1
  };
  struct Next {
    Generation generation;
    Clock::time_point at;
    bool after_drain = false;  // the device has no room for two
  };
  struct Failure {
    Generation generation;
    std::string reason;
    bool worn_out = false;  // it had passed its gate, and is taken back all the same
  };
  struct Fresh {  // passed its gate a short while ago
    std::uint64_t generation = 0;
    Clock::time_point since;
    int deaths = 0;
  };
  struct Asked {  // a swap that waits for the store's lock
    std::uint64_t client = 0;
    std::string release;
    Clock::time_point until;
  };
  struct Swap {  // a swap under way, and who waits for its end
    std::uint64_t client = 0;
    SwitchReport report;
    std::string from;                              // the release before
    std::optional<std::uint64_t> taken_back_by;    // the client of a rollback that came meanwhile
    std::optional<Clock::time_point> handed_over;  // the new one serves; until then the old one may say STOPPING=1
  };
  struct Canary {
    enum class Stage { kWarming, kSharing, kLeaving, kDraining };  // leaving: no new connections, those that wait
    std::uint64_t client = 0;
    std::string release;
    CanaryTerms terms;
    ListeningSocket http, health;
    bundle::FileDescriptor lease;
    std::optional<Instance> instance = {};
    Stage stage = Stage::kWarming;
    Clock::time_point until{};                         // of the stage
    Clock::time_point next_look{};                     // at the metrics
    bool last_look = false;                            // the time is over
    std::optional<TrafficWatch> own = {}, other = {};  // since it shares
    bool failed = false;                               // and whoever asked for it knows
  };
  struct Stop {
    int exit_code = 0;
    std::vector<std::uint64_t> clients;
  };
  struct Plan {
    bundle::BundleInfo info;
    ServiceStart start;
    bundle::FileDescriptor lease;
  };

  // supervision.cpp: the loop, and processes
  void wait();
  void take_signals();
  void take_notifications(Instance& instance);
  void reap();
  void advance();
  Plan plan(const std::string& release) const;
  void start_next();
  void pass_gate();
  void record_failure();
  void fail(const Generation& generation, const std::string& reason);
  void drain(Instance instance, Milliseconds timeout);
  void restart_later(const Generation& generation);
  void start_again(const Generation& generation, const std::string& death);
  bool wants_device_alone(const std::string& release) const;
  void begin_stop(int exit_code, std::optional<Milliseconds> timeout);
  Milliseconds drain_timeout(const Instance& instance) const;
  std::optional<StoreLock> try_lock();

  // supervision_canary.cpp
  void begin_canary(std::uint64_t client, const std::string& release, const CanaryTerms& terms);
  void advance_canary();
  void share_with_canary();
  void look_at_canary();
  void judge_canary();
  void leave_canary();
  void drain_canary();
  void fail_canary(const std::string& why);
  void reap_canary();
  std::optional<ServiceStatus::Canary> canary_status() const;

  // supervision_control.cpp: what clients ask for
  void take_requests();
  void answer_request(std::uint64_t client, const std::string& line);
  void ask_swap(std::uint64_t client, const std::string& release);
  void ask_restart(std::uint64_t client);
  void require_whole_release(const std::string& release) const;
  bool take_back_canary(std::uint64_t client);
  void begin_swap();
  void make_way(bool alone);
  void take_back(std::uint64_t client);
  void finish_swap(const std::optional<std::string>& failure);
  void refuse(std::uint64_t client, bundle::ErrorKind kind, const std::string& message);
  std::string status();
  std::string state() const;
  void report(const std::string& stage, const std::string& release, const std::string& detail, double seconds = 0);
  void note_error(const std::string& message);

  Store& store_;
  const ServiceOptions service_;
  const SupervisorOptions options_;

  // Destroyed from below: processes first, then the sockets, then the lock, at last the clients that wait for that.
  SignalWatch signals_;
  std::optional<ControlServer> control_;
  std::optional<SupervisorLock> lock_;
  std::optional<ListeningSocket> http_, health_;
  std::vector<Instance> draining_;
  std::optional<Instance> serving_, candidate_;
  std::optional<Canary> canary_;

  std::optional<Next> next_;
  std::optional<Failure> failed_;
  std::optional<Fresh> fresh_;
  std::optional<Asked> asked_;
  std::optional<Swap> swap_;
  std::optional<Stop> stop_;
  std::optional<std::string> first_failure_;  // of the release that supervise() was called for
  bool settled_ = false;                      // the first start has succeeded, with that release or the last good one
  bool going_back_ = false;
  Milliseconds back_off_;
  Clock::time_point retry_at_;  // of what waits for the store's lock
  std::optional<Clock::time_point> lock_wanted_;
  std::optional<std::string> last_error_;
  std::pair<std::string, std::optional<bundle::LibcChoice>> libc_;  // of a release, for status()
  std::string state_ = "starting";
  std::int64_t since_ = 0;
};

}  // namespace holdall::launcher
