// A canary: a release that is not in use and gets a share of the new connections until it is judged. The store knows
// nothing of it (docs/decisions/0009); one that has done well is then used as any release is.
#include <ctime>

#include "bundle/error.h"
#include "launcher/canary/judgement.h"
#include "launcher/supervision.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

// A connection whose handshake was under way when the share became 0 may still come to the canary's queue.
constexpr std::chrono::milliseconds kLinger{1000};

std::string in_seconds(std::chrono::milliseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", static_cast<double>(time.count()) / 1000);
  return text;
}

}  // namespace

void Supervision::begin_canary(std::uint64_t client, const std::string& release, const CanaryTerms& terms) {
  if (stop_) throw Error(ErrorKind::kInterrupted, "the service is being stopped");
  if (terms.percent < 1 || terms.percent > 99)
    throw Error(ErrorKind::kUsage, "cannot give a canary " + std::to_string(terms.percent) + " % of the connections");
  if (asked_ || swap_ || canary_ || !settled_ || !serving_)
    throw Error(ErrorKind::kBusy, "a release is being started already: wait for it");
  Plan planned = plan(release);
  if (wants_device_alone(release) || serving_->service.swap == bundle::SwapMode::kReplace)
    throw Error(ErrorKind::kUsage, "cannot try '" + release +
                                       "' as a canary: the device has no room for two (\"swap\": \"replace\"): leave "
                                       "out --canary");
  require_whole_release(release);
  Canary canary{.client = client,
                .release = release,
                .terms = terms,
                .http = http_->beside(),
                .health = ListeningSocket("127.0.0.1", 0),
                .lease = store_.lease(release)};
  planned.start.http = canary.http.fd();
  planned.start.health = canary.health.fd();
  const auto limit = options_.ready_timeout.value_or(std::chrono::seconds(planned.info.service->ready_timeout_seconds));
  const auto begun = Clock::now();
  report("canary", release, "is started for " + std::to_string(terms.percent) + " % of the connections");
  canary.instance.emplace(
      Instance{Generation{0, release}, *planned.info.service, ServiceProcess(planned.start), begun, begun + limit, {}});
  canary_.emplace(std::move(canary));
}

void Supervision::advance_canary() {
  if (!canary_) return;
  const auto now = Clock::now();
  switch (canary_->stage) {
    case Canary::Stage::kWarming:
      if (canary_->instance->ready)
        share_with_canary();
      else if (now >= canary_->instance->deadline)
        fail_canary("it was not ready within " +
                    in_seconds(std::chrono::duration_cast<Milliseconds>(now - canary_->instance->begun)) +
                    (canary_->instance->status.empty() ? "" : ": " + canary_->instance->status));
      return;
    case Canary::Stage::kSharing:
      return judge_canary();
    case Canary::Stage::kLeaving:
      if (now >= canary_->until && !canary_->http.has_waiting()) return drain_canary();
      if (now >= canary_->until) canary_->until = now + kLinger / 10;
      return;
    case Canary::Stage::kDraining:
      if (canary_->instance && now >= canary_->instance->deadline) {
        canary_->instance->process.kill();
        canary_->instance->deadline = Clock::time_point::max();
      }
      return;
  }
}

void Supervision::share_with_canary() {
  canary_->stage = Canary::Stage::kSharing;
  canary_->until = Clock::now() + canary_->terms.time;
  canary_->instance->deadline = Clock::time_point::max();
  canary_->own.emplace(canary_->health.fd(), TrafficWatch::Service::kNew);
  canary_->other.emplace(health_->fd(), TrafficWatch::Service::kOld);
  look_at_canary();
  if (!http_->set_share(canary_->terms.percent)) return fail_canary("the kernel gave it no connections");
  report("canary", canary_->release,
         "gets " + std::to_string(canary_->terms.percent) + " % of the new connections for " +
             in_seconds(canary_->terms.time));
}

// Both are asked at the same time, and compared when both have answered.
void Supervision::look_at_canary() {
  canary_->own->ask();
  canary_->other->ask();
  canary_->next_look = Clock::now() + options_.canary_interval;
}

void Supervision::judge_canary() {
  TrafficWatch& own = *canary_->own;
  TrafficWatch& other = *canary_->other;
  own.go_on();
  other.go_on();
  if (own.is_asking() || other.is_asking()) return;
  const bool answered = own.fault().empty() && other.fault().empty();
  if (canary_->last_look) {
    if (!answered)
      return fail_canary("it could not be judged: no answer to /metrics: " +
                         (own.fault().empty() ? other.fault() : own.fault()));
    if (const auto fault = final_fault_of(own.counts(), other.counts())) return fail_canary(*fault);
    report("canary", canary_->release,
           "did well: " + std::to_string(own.counts().errors) + " of " + std::to_string(own.counts().requests) +
               " requests failed");
    return leave_canary();
  }
  if (const auto fault = answered ? fault_of(own.counts(), other.counts()) : std::nullopt) return fail_canary(*fault);
  const auto now = Clock::now();
  canary_->last_look = now >= canary_->until;
  if (canary_->last_look || now >= canary_->next_look) look_at_canary();
}

// No new connections from here on; what waits for it already is still its own.
void Supervision::leave_canary() {
  http_->set_share(0);  // if that fails, its socket's end does it
  canary_->stage = Canary::Stage::kLeaving;
  canary_->until = Clock::now() + kLinger;
}

// One that has failed is a service on its way out like any other; one that has done well is waited for.
void Supervision::drain_canary() {
  const Milliseconds limit = drain_timeout(*canary_->instance);
  if (canary_->failed) {
    Canary failed = *std::exchange(canary_, std::nullopt);
    return drain(std::move(*failed.instance), limit);
  }
  canary_->stage = Canary::Stage::kDraining;
  canary_->instance->process.terminate();
  canary_->instance->deadline = Clock::now() + limit;
}

// Its client hears of it at once; the requests that it has are finished all the same.
void Supervision::fail_canary(const std::string& why) {
  if (canary_->failed) return;
  canary_->failed = true;
  const std::string message = "release '" + canary_->release + "' was taken back as a canary: " + why;
  note_error(message);
  report("failed", canary_->release, message);
  refuse(canary_->client, ErrorKind::kNotReady,
         message + (serving_ ? ": '" + serving_->generation.release + "' serves" : ""));
  if (canary_->stage == Canary::Stage::kSharing) return leave_canary();
  if (canary_->stage == Canary::Stage::kWarming) drain_canary();
}

void Supervision::reap_canary() {
  if (!canary_ || !canary_->instance) return;
  const auto status = canary_->instance->process.reap();
  if (!status) return;
  const bool early = canary_->stage != Canary::Stage::kDraining;
  if (early) {
    http_->set_share(0);
    canary_->stage = Canary::Stage::kDraining;
    const std::string& last = canary_->instance->status;
    fail_canary("it " + describe_exit(*status) + (last.empty() ? "" : ": " + last));
  }
  const Canary ended = *std::exchange(canary_, std::nullopt);
  if (ended.failed) return;
  last_error_.reset();
  asked_ = Asked{ended.client, ended.release, Clock::now() + options_.lock_timeout};
}

std::optional<ServiceStatus::Canary> Supervision::canary_status() const {
  if (!canary_ || canary_->failed) return std::nullopt;
  ServiceStatus::Canary status;
  status.release = canary_->release;
  status.percent = canary_->terms.percent;
  status.pid = canary_->instance ? canary_->instance->process.pid() : 0;
  if (canary_->stage != Canary::Stage::kSharing) return status;
  status.seconds_left = std::chrono::ceil<std::chrono::seconds>(canary_->until - Clock::now()).count();
  status.requests = canary_->own->counts().requests;
  status.errors = canary_->own->counts().errors;
  return status;
}

}  // namespace holdall::launcher
