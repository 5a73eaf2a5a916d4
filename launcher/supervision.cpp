#include "launcher/supervision.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "bundle/error.h"
#include "launcher/driver_links.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::chrono::milliseconds kLockRetry{50};
// What has no requests to finish gets this long to leave.
constexpr std::chrono::milliseconds kUnreadyGrace{10000};
// A command hears of its swap once the old service has stopped accepting, so that its next request meets the new one.
constexpr std::chrono::milliseconds kHandOver{1000};
// A service that lost its supervisor began to drain then; a little more for what comes after.
constexpr std::chrono::milliseconds kOrphanMargin{5000};

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string in_seconds(std::chrono::milliseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", static_cast<double>(time.count()) / 1000);
  return text;
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

Supervision::Supervision(Store& store, const ServiceOptions& service, const SupervisorOptions& options)
    : store_(store), service_(service), options_(options), back_off_(options.first_back_off) {
  since_ = std::time(nullptr);
  std::optional<Generation> current = store.current();
  Milliseconds patience = kOrphanMargin;
  if (current) {
    const auto info = store.info(current->release);
    if (info.service) patience += std::chrono::seconds(info.service->drain_timeout_seconds);
  }
  lock_.emplace(store, patience, [this] {
    if (!signals_.take().empty()) throw Error(ErrorKind::kInterrupted, "interrupted");
  });
  control_.emplace(store.directory_fd());
  http_.emplace(service.host, service.port);
  health_.emplace(service.host, service.health_port);

  current = store.current();
  if (!current)
    throw Error(ErrorKind::kNotFound, "no release is active in '" + store.path() + "': choose one with 'holdall use'");
  plan(current->release);  // what is wrong with the command line is said before a trial is spent
  next_ = Next{*current, Clock::now(), false};
}

Supervision::~Supervision() {
  if (control_) control_->stop_listening();
}

int Supervision::run() try {
  while (true) {
    advance();
    const std::string now = state();
    if (now != state_) {
      state_ = now;
      since_ = std::time(nullptr);
    }
    if (stop_ && draining_.empty() && !canary_) break;
    wait();
    take_signals();
    for (Instance& instance : draining_) take_notifications(instance);
    if (serving_) take_notifications(*serving_);
    if (candidate_) take_notifications(*candidate_);
    if (canary_ && canary_->instance) take_notifications(*canary_->instance);
    reap();
    take_requests();
  }
  for (const std::uint64_t client : stop_->clients) control_->answer(client, "{}", ControlServer::After::kHold);
  if (!settled_) throw Error(ErrorKind::kInterrupted, "interrupted before the service was ready");
  return stop_->exit_code;
} catch (const std::exception& error) {
  finish_swap(error.what());
  throw;
}

void Supervision::wait() {
  std::vector<pollfd> polled{{signals_.fd(), POLLIN, 0}};
  control_->add_to(polled);
  auto until = control_->next_deadline();
  const auto consider = [&](Clock::time_point time) { until = until ? std::min(*until, time) : time; };
  const auto watch = [&](const Instance& instance) {
    polled.push_back({instance.process.notify().fd(), POLLIN, 0});
    consider(instance.deadline);
  };
  for (const Instance& instance : draining_) watch(instance);
  if (serving_) watch(*serving_);
  if (candidate_) watch(*candidate_);
  if (canary_) {
    if (canary_->instance) watch(*canary_->instance);
    if (canary_->stage == Canary::Stage::kLeaving) consider(canary_->until);
    if (canary_->stage == Canary::Stage::kSharing) {
      const bool asking = canary_->own->is_asking() || canary_->other->is_asking();
      if (!asking) consider(std::min(canary_->next_look, canary_->until));
      for (const TrafficWatch* const traffic : {&*canary_->own, &*canary_->other}) {
        traffic->add_to(polled);
        if (traffic->is_asking()) consider(traffic->deadline());
      }
    }
  }
  if (swap_ && swap_->handed_over) consider(*swap_->handed_over);
  if (failed_ || asked_ || (candidate_ && candidate_->ready)) consider(retry_at_);
  // With drains still to be waited for, the end of the last one wakes the loop.
  if (next_ && !(next_->after_drain && !draining_.empty())) consider(std::max(next_->at, retry_at_));

  int timeout = -1;
  if (until && *until != Clock::time_point::max()) {
    // Rounded up: a loop that wakes a moment too early would spin.
    const auto left = std::chrono::ceil<Milliseconds>(*until - Clock::now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3600 * 1000));
  }
  if (::poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR)
    throw bundle::system_error(errno, "wait for", "the service");
}

void Supervision::take_signals() {
  for (const int number : signals_.take()) {
    if (number == SIGCHLD) {
      if (options_.on_child_end) options_.on_child_end();
      continue;
    }
    if (!stop_) {
      begin_stop(number == SIGINT ? 130 : 0, std::nullopt);
    } else {
      for (Instance& instance : draining_) instance.process.kill();
      if (canary_ && canary_->instance) canary_->instance->process.kill();
      stop_->exit_code = 130;
    }
  }
}

void Supervision::take_notifications(Instance& instance) {
  for (const Notification& word : instance.process.notify().receive()) {
    if (word.status) instance.status = *word.status;
    instance.stopping = instance.stopping || word.stopping;
    const bool is_canary = canary_ && canary_->instance && &instance == &*canary_->instance;
    if (is_canary && word.ready && canary_->stage == Canary::Stage::kWarming) instance.ready = true;
    if (&instance != (candidate_ ? &*candidate_ : nullptr)) continue;
    if (word.status) report("warm", instance.generation.release, instance.status, seconds_since(instance.begun));
    if (word.ready) {
      instance.ready = true;
      instance.deadline = Clock::time_point::max();
    }
  }
}

void Supervision::reap() {
  const auto last_words = [](Instance& instance, int status) {
    return describe_exit(status) + (instance.status.empty() ? "" : ": " + instance.status);
  };
  std::erase_if(draining_, [](Instance& instance) { return instance.process.reap().has_value(); });
  reap_canary();
  if (candidate_) {
    if (const auto status = candidate_->process.reap()) {
      const Generation generation = candidate_->generation;
      const std::string reason = last_words(*candidate_, *status);
      candidate_.reset();
      fail(generation, reason);
    }
  }
  if (serving_) {
    if (const auto status = serving_->process.reap()) {
      const Instance dead = std::move(*serving_);
      serving_.reset();
      note_error("service of '" + dead.generation.release + "' " + describe_exit(*status));
      report("died", dead.generation.release, *last_error_, seconds_since(dead.begun));
      if (Clock::now() - dead.begun >= options_.longest_back_off) back_off_ = options_.first_back_off;
      // In a swap the new release may yet take over; if it fails, the way back starts this one again.
      if (!swap_ || swap_->handed_over) start_again(dead.generation, describe_exit(*status));
    }
  }
}

void Supervision::advance() {
  const auto now = Clock::now();
  for (Instance& instance : draining_) {
    if (now < instance.deadline) continue;
    report("kill", instance.generation.release, "did not leave in time");
    instance.process.kill();
    instance.deadline = Clock::time_point::max();
  }
  advance_canary();
  if (stop_) return;
  if (candidate_ && !candidate_->ready && now >= candidate_->deadline) {
    const auto limit = std::chrono::duration_cast<Milliseconds>(candidate_->deadline - candidate_->begun);
    fail(candidate_->generation,
         "was not ready within " + in_seconds(limit) + (candidate_->status.empty() ? "" : ": " + candidate_->status));
  }
  const bool may_lock = now >= retry_at_;
  if (may_lock && candidate_ && candidate_->ready) pass_gate();
  if (may_lock && failed_) record_failure();
  if (may_lock && asked_) begin_swap();
  if (swap_ && swap_->handed_over &&
      (now >= *swap_->handed_over ||
       std::all_of(draining_.begin(), draining_.end(), [](const Instance& old) { return old.stopping; })))
    finish_swap(std::nullopt);
  if (may_lock && next_ && !candidate_ && now >= next_->at && !(next_->after_drain && !draining_.empty())) start_next();
}

std::optional<StoreLock> Supervision::try_lock() try {
  auto lock = store_.lock(Milliseconds(0));
  lock_wanted_.reset();
  return lock;
} catch (const Error& error) {
  if (!lock_wanted_) lock_wanted_ = Clock::now();
  // A command waits for its lock as long as it was told to; a service that serves already waits as long as it takes.
  if (error.kind() != ErrorKind::kBusy || (!settled_ && Clock::now() >= *lock_wanted_ + options_.lock_timeout)) throw;
  retry_at_ = Clock::now() + kLockRetry;
  return std::nullopt;
}

Supervision::Plan Supervision::plan(const std::string& release) const {
  Plan result{store_.info(release), {}, {}};
  ServicePlace place{store_.tree(release), store_.path() + "/data"};
  if (result.info.requires_host.cuda) place.driver = link_driver(store_, service_.libcuda);
  result.start.arguments = service_arguments(result.info, service_, place);
  if (result.info.model && result.info.model->external && !is_folder(service_.model))
    throw Error(ErrorKind::kNotFound, "cannot find model folder '" + service_.model + "'");
  result.start.environment =
      service_environment(options_.environment, result.info, place,
                          service_.keep_environment ? KeepEnvironment::kYes : KeepEnvironment::kNo);
  result.start.working_folder = place.tree;
  result.start.http = http_->fd();
  result.start.health = health_->fd();
  result.lease = store_.lease(release);
  result.start.kept_open = {result.lease.get(), lock_->fd()};
  return result;
}

void Supervision::start_next() {
  const Generation generation = next_->generation;
  try {
    if (!store_.passed_gate(generation.number)) {
      const auto lock = try_lock();
      if (!lock) return;
      if (!store_.spend_trial(*lock, generation.number)) {
        next_.reset();
        return fail(generation, "has no trial left");
      }
    }
    next_.reset();
    if (::mkdirat(store_.directory_fd(), "data", 0700) != 0 && errno != EEXIST)
      throw bundle::system_error(errno, "make", store_.path() + "/data");
    Plan planned = plan(generation.release);
    report("start", generation.release, "generation " + std::to_string(generation.number));
    const auto limit =
        options_.ready_timeout.value_or(std::chrono::seconds(planned.info.service->ready_timeout_seconds));
    const auto begun = Clock::now();
    candidate_.emplace(
        Instance{generation, *planned.info.service, ServiceProcess(planned.start), begun, begun + limit, {}});
    lock_->note_service(candidate_->process.pid());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBusy) throw;  // the first start's wait for the store has ended
    next_.reset();
    fail(generation, error.what());
  }
}

void Supervision::pass_gate() {
  try {
    if (!store_.passed_gate(candidate_->generation.number)) {
      const auto lock = try_lock();
      if (!lock) return;
      store_.mark_good(*lock, candidate_->generation.number);
      fresh_ = Fresh{candidate_->generation.number, Clock::now()};
    }
  } catch (const Error& error) {
    // It serves already; only the record of it is missing, for want of space perhaps.
    note_error(error.what());
    retry_at_ = Clock::now() + options_.first_back_off;
    return;
  }
  std::optional<Instance> old = std::move(serving_);
  serving_ = std::move(candidate_);
  candidate_.reset();
  report("ready", serving_->generation.release, http_->url(), seconds_since(serving_->begun));
  serving_->begun = Clock::now();
  serving_->deadline = Clock::time_point::max();
  if (old) {
    const Milliseconds limit = drain_timeout(*old);
    drain(std::move(*old), limit);
  }
  going_back_ = false;
  if (!settled_) {
    settled_ = true;
    if (options_.on_running) options_.on_running(http_->url(), first_failure_);
  }
  if (first_failure_)
    finish_swap(first_failure_);
  else if (swap_)
    swap_->handed_over = Clock::now() + kHandOver;
  first_failure_.reset();
}

// A start has failed: what is left of it is killed at once, the store is told when its lock is free.
void Supervision::fail(const Generation& generation, const std::string& reason) {
  if (candidate_) {
    candidate_->process.kill();
    candidate_->deadline = Clock::time_point::max();
    draining_.push_back(std::move(*candidate_));
    candidate_.reset();
  }
  failed_ = Failure{generation, "release '" + generation.release + "' did not become ready: " + reason};
}

void Supervision::record_failure() {
  const Failure failure = *failed_;
  std::optional<Generation> back;
  const bool was_good = store_.passed_gate(failure.generation.number);
  try {
    if (!was_good || failure.worn_out) {
      const auto lock = try_lock();
      if (!lock) return;
      back = store_.mark_bad(*lock, failure.generation.number, failure.reason);
    }
  } catch (const Error& error) {
    if (!settled_) throw;
    note_error(error.what());
    retry_at_ = Clock::now() + options_.first_back_off;
    return;
  }
  failed_.reset();
  note_error(failure.reason);
  report("failed", failure.generation.release, failure.reason);
  if (serving_) return finish_swap(failure.reason);
  if (was_good && settled_ && !(failure.worn_out && back)) {
    // A good release that does not come up any more: something around it has changed, and may change back.
    finish_swap(first_failure_ ? *first_failure_ + "; " + failure.reason : failure.reason);
    going_back_ = false;
    first_failure_.reset();
    return start_again(failure.generation, failure.reason);
  }
  if ((was_good && !failure.worn_out) || !back || back->number == failure.generation.number)
    throw Error(ErrorKind::kNotReady, first_failure_ ? *first_failure_ + "; " + failure.reason : failure.reason);
  if (!failure.worn_out) first_failure_ = failure.reason;  // nobody waits for the end of the others
  going_back_ = true;
  report("back", back->release, "the last good release");
  next_ = Next{*back, Clock::now(), wants_device_alone(back->release)};
}

void Supervision::drain(Instance instance, Milliseconds timeout) {
  report("drain", instance.generation.release, "");
  instance.process.terminate();
  instance.deadline = Clock::now() + timeout;
  draining_.push_back(std::move(instance));
}

// After a death, or a start that failed, of a generation that has passed its gate.
void Supervision::start_again(const Generation& generation, const std::string& death) {
  const bool is_fresh =
      fresh_ && fresh_->generation == generation.number && Clock::now() < fresh_->since + options_.fresh_time;
  if (!is_fresh || ++fresh_->deaths < options_.fresh_deaths || !store_.good_before(generation))
    return restart_later(generation);
  char count[96];
  std::snprintf(count, sizeof count, "it failed %d times within %.0f s of its start: ", fresh_->deaths,
                std::max(1.0, seconds_since(fresh_->since)));
  fresh_.reset();
  failed_ = Failure{generation, "release '" + generation.release + "' was taken back: " + count + death, true};
}

void Supervision::restart_later(const Generation& generation) {
  next_ = Next{generation, Clock::now() + back_off_, wants_device_alone(generation.release)};
  back_off_ = std::min(back_off_ * 2, options_.longest_back_off);
}

bool Supervision::wants_device_alone(const std::string& release) const try {
  const auto info = store_.info(release);
  return info.service && info.service->swap == bundle::SwapMode::kReplace;
} catch (const Error&) {
  return true;  // damaged: its start will say so
}

Supervision::Milliseconds Supervision::drain_timeout(const Instance& instance) const {
  return options_.drain_timeout.value_or(std::chrono::seconds(instance.service.drain_timeout_seconds));
}

void Supervision::begin_stop(int exit_code, std::optional<Milliseconds> timeout) {
  stop_ = Stop{exit_code, {}};
  report("stop", serving_ ? serving_->generation.release : candidate_ ? candidate_->generation.release : "", "");
  next_.reset();
  failed_.reset();
  if (asked_) refuse(asked_->client, ErrorKind::kInterrupted, "the service is being stopped");
  asked_.reset();
  if (swap_) finish_swap("the service is being stopped");
  if (canary_) {
    fail_canary("the service is being stopped");
    if (canary_ && canary_->stage != Canary::Stage::kDraining) drain_canary();
    if (canary_ && timeout)
      canary_->instance->deadline = std::min(canary_->instance->deadline, Clock::now() + *timeout);
  }
  for (Instance& instance : draining_)
    if (timeout) instance.deadline = std::min(instance.deadline, Clock::now() + *timeout);
  if (candidate_) {
    const Milliseconds limit = candidate_->ready ? drain_timeout(*candidate_) : kUnreadyGrace;
    drain(std::move(*candidate_), std::min(timeout.value_or(limit), limit));
  }
  if (serving_) {
    const Milliseconds limit = timeout.value_or(drain_timeout(*serving_));
    drain(std::move(*serving_), limit);
  }
  candidate_.reset();
  serving_.reset();
}

}  // namespace holdall::launcher
