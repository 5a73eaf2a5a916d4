// The supervisor's answers on its control socket.
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "launcher/status.h"
#include "launcher/supervision.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using nlohmann::json;

// Text of a service or a path may hold any bytes; an answer is always JSON.
std::string line_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string line_of(const SwitchReport& report) {
  return line_of({{"generation", report.generation.number},
                  {"release", report.generation.release},
                  {"switch_milliseconds", report.switch_milliseconds}});
}

}  // namespace

void Supervision::take_requests() {
  for (const ControlServer::Request& request : control_->take_requests()) {
    try {
      answer_request(request.client, request.line);
    } catch (const Error& error) {
      refuse(request.client, error.kind(), error.what());
    } catch (const json::exception& error) {
      refuse(request.client, ErrorKind::kUsage, std::string("request is not understood: ") + error.what());
    }
  }
}

void Supervision::answer_request(std::uint64_t client, const std::string& line) {
  const json request = json::parse(line);
  const std::string command = request.at("command").get<std::string>();
  if (command == "status") {
    control_->answer(client, status());
  } else if (command == "use") {
    const auto release = request.at("release").get<std::string>();
    const auto current = store_.current();
    const bool is_current = current && current->release == release;
    if (!request.contains("canary") || is_current) return ask_swap(client, release);
    const json& terms = request["canary"];
    const auto seconds = std::chrono::duration<double>(terms.at("seconds").get<std::uint32_t>());
    begin_canary(client, release, {terms.at("percent").get<int>(), std::chrono::duration_cast<Milliseconds>(seconds)});
  } else if (command == "rollback") {
    if (take_back_canary(client)) return;
    if (request.contains("to")) return ask_swap(client, request["to"].get<std::string>());
    const auto target = store_.rollback_target();
    if (!target) throw Error(ErrorKind::kNotFound, "no earlier release to roll back to: none has passed its gate");
    ask_swap(client, *target);
  } else if (command == "restart") {
    ask_restart(client);
  } else if (command == "stop") {
    std::optional<Milliseconds> timeout;
    if (request.contains("timeout")) timeout = std::chrono::seconds(request["timeout"].get<std::uint32_t>());
    if (!stop_)
      begin_stop(0, timeout);
    else if (timeout)
      for (Instance& instance : draining_) instance.deadline = std::min(instance.deadline, Clock::now() + *timeout);
    stop_->clients.push_back(client);
  } else {
    throw Error(ErrorKind::kUsage, "supervisor knows no command '" + command + "'");
  }
}

void Supervision::ask_swap(std::uint64_t client, const std::string& release) {
  if (stop_) throw Error(ErrorKind::kInterrupted, "the service is being stopped");
  if (swap_ && swap_->handed_over) finish_swap(std::nullopt);
  if (swap_ && swap_->from == release && !swap_->taken_back_by) return take_back(client);
  if (canary_ && !canary_->failed)
    throw Error(ErrorKind::kBusy, "a canary is under way: wait for it, or take it back with 'holdall rollback'");
  if (asked_ || swap_ || !settled_)
    throw Error(ErrorKind::kBusy,
                "another release is being started: wait for it, or take it back with 'holdall rollback'");
  const auto current = store_.current();
  if (current && current->release == release) return control_->answer(client, line_of(SwitchReport{*current, 0}));
  // Everything that can be refused is refused before anything is stopped or written.
  plan(release);
  require_whole_release(release);
  asked_ = Asked{client, release, Clock::now() + options_.lock_timeout};
}

void Supervision::require_whole_release(const std::string& release) const {
  const auto faults = store_.check_release(release, false);
  if (!faults.empty())
    throw Error(ErrorKind::kStorage, "release '" + release + "' is damaged: " + faults.front() + ": install it again");
}

// Whether there was one. What is in use has never changed, and is the answer.
bool Supervision::take_back_canary(std::uint64_t client) {
  if (!canary_ || canary_->failed) return false;
  fail_canary("a rollback came");
  control_->answer(client, line_of(SwitchReport{store_.current().value(), 0}));
  return true;
}

void Supervision::begin_swap() {
  Asked asked = *asked_;
  try {
    const auto lock = try_lock();
    if (!lock) {
      if (Clock::now() < asked.until) return;
      throw Error(ErrorKind::kBusy, "the store is locked by another holdall");
    }
    const auto before = store_.current();
    const auto begin = Clock::now();
    SwitchReport report{store_.activate(*lock, asked.release), 0};
    report.switch_milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    asked_.reset();
    swap_ = Swap{asked.client, report, before ? before->release : "", std::nullopt, std::nullopt};
  } catch (const Error& error) {
    asked_.reset();
    return refuse(asked.client, error.kind(), error.what());
  }
  const bool alone =
      wants_device_alone(asked.release) || (serving_ && serving_->service.swap == bundle::SwapMode::kReplace);
  make_way(alone);
  next_ = Next{swap_->report.generation, Clock::now(), alone};
}

void Supervision::ask_restart(std::uint64_t client) {
  if (stop_) throw Error(ErrorKind::kInterrupted, "the service is being stopped");
  if (swap_ && swap_->handed_over) finish_swap(std::nullopt);
  if (asked_ || swap_ || (canary_ && !canary_->failed) || !settled_)
    throw Error(ErrorKind::kBusy, "a release is being started already: wait for it");
  const auto current = store_.current();
  if (!current) throw Error(ErrorKind::kNotFound, "no release is active");
  plan(current->release);
  const bool alone = wants_device_alone(current->release);
  const SwitchReport report{*current, 0};
  swap_ = Swap{client, report, "", std::nullopt, std::nullopt};
  make_way(alone);
  next_ = Next{*current, Clock::now(), alone};
}

// Before a process is started on purpose.
void Supervision::make_way(bool alone) {
  // A restart that was under way or due is no longer wanted.
  if (candidate_) fail(candidate_->generation, "");
  failed_.reset();
  going_back_ = false;
  if (alone && serving_) {
    const Milliseconds limit = drain_timeout(*serving_);
    drain(std::move(*serving_), limit);
    serving_.reset();
  }
}

// Back to the release before, while the new one is still on its way: that one is given up without waiting for its gate.
void Supervision::take_back(std::uint64_t client) {
  swap_->taken_back_by = client;
  if (going_back_ || failed_) return;  // it is being given up already
  next_.reset();
  fail(swap_->report.generation, "taken back by a rollback");
}

void Supervision::finish_swap(const std::optional<std::string>& failure) {
  if (!swap_) return;
  const Swap swap = *swap_;
  swap_.reset();
  if (!failure) {
    last_error_.reset();
    return control_->answer(swap.client, line_of(swap.report));
  }
  const std::string message = *failure + (serving_ ? ": '" + serving_->generation.release + "' serves" : "");
  refuse(swap.client, ErrorKind::kNotReady, message);
  if (!swap.taken_back_by) return;
  if (serving_)
    control_->answer(*swap.taken_back_by, line_of(SwitchReport{serving_->generation, 0}));
  else
    refuse(*swap.taken_back_by, ErrorKind::kNotReady, message);
}

void Supervision::refuse(std::uint64_t client, ErrorKind kind, const std::string& message) {
  control_->answer(client, line_of({{"error", message}, {"exit_code", bundle::exit_code(kind)}}));
}

std::string Supervision::state() const {
  if (stop_) return "draining";
  if (going_back_) return "rolling_back";
  if (candidate_) return candidate_->status.empty() ? "starting" : "warming";
  if (serving_ && !next_) return "running";
  if (next_ && next_->after_drain && !draining_.empty()) return "draining";
  return next_ && next_->at > Clock::now() ? "failed" : "starting";
}

std::string Supervision::status() {
  ServiceStatus status;
  status.name = service_name(store_);
  status.state = state_;
  status.generation = serving_ ? serving_->generation : candidate_ ? candidate_->generation : store_.current();
  status.good = status.generation && store_.passed_gate(status.generation->number);
  if (status.generation) {
    // The record is as long as the release has files, and does not change while it is in use.
    if (libc_.first != status.generation->release)
      libc_ = {status.generation->release, libc_of(store_, status.generation->release)};
    status.libc = libc_.second;
  }
  status.pid = serving_ ? serving_->process.pid() : candidate_ ? candidate_->process.pid() : 0;
  status.supervisor_pid = ::getpid();
  status.url = http_->url();
  status.health_url = health_->url();
  status.ready = serving_.has_value();
  status.since = since_;
  status.last_error = last_error_;
  status.canary = canary_status();
  return to_json(status);
}

void Supervision::report(const std::string& stage, const std::string& release, const std::string& detail,
                         double seconds) {
  if (options_.on_event) options_.on_event({stage, release, detail, seconds});
}

void Supervision::note_error(const std::string& message) {
  last_error_ = message;
}

}  // namespace holdall::launcher
