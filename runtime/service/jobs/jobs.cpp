#include "runtime/service/jobs/jobs.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/error.h"
#include "runtime/service/access/classifier.h"
#include "runtime/service/digest.h"
#include "runtime/service/edits/edit_log.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds kTick{1};
constexpr std::uint64_t kSweepTicks = 2;

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Deadlines are kept in Unix time, which outlives a process, and met by a clock that nobody sets.
std::optional<double> to_unix(std::optional<Clock::time_point> deadline) {
  if (!deadline) return std::nullopt;
  return unix_now() + std::chrono::duration<double>(*deadline - Clock::now()).count();
}
std::optional<Clock::time_point> from_unix(std::optional<double> deadline) {
  if (!deadline) return std::nullopt;
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*deadline - unix_now()));
}

ImageTask task_of(const JobRecord& job) {
  return job.operation == "image_generation" ? ImageTask::kGeneration : ImageTask::kEdit;
}

std::string inner_json(const HttpError& error) {
  return ordered_json::parse(error.reply().body).at("error").dump();
}

// Runs what uses the disk for a request; what the disk refuses is a 503.
template <class Work>
auto on_disk(Work work) {
  try {
    return work();
  } catch (const Error& error) {
    log_warning("jobs_unavailable", {{"message", error.what()}});
    throw HttpError(503, "jobs_unavailable", "the journal of jobs cannot be used now; edits without 'Prefer' go on")
        .retry_after(10);
  }
}

}  // namespace

Jobs::Jobs(boost::asio::io_context& io, const std::filesystem::path& state_folder, const ServiceState& state,
           EditQueue& queue, Access& access, Classifier& classifier, AuditLog* audit)
    : timer_(io),
      state_(state),
      queue_(queue),
      access_(access),
      classifier_(classifier),
      audit_(audit),
      journal_(state_folder) {}

void Jobs::start() {
  if (ticks_ == 0) tick();
}

void Jobs::tick() {
  ++ticks_;
  try {
    work();
  } catch (const std::exception& error) {
    log_warning("jobs_unavailable", {{"message", error.what()}});
  }
  timer_.expires_after(kTick);
  timer_.async_wait([this](boost::system::error_code stopped) {
    if (!stopped) tick();
  });
}

void Jobs::work() {
  std::vector<std::string> unsettled;
  for (const auto& [id, live] : live_)
    if (live.ending) unsettled.push_back(id);
  for (const auto& id : unsettled) settle(id);
  for (const auto& id : journal_.cancellations())
    if (live_.contains(id)) cancel(id, {});
  if (takes_up_)
    for (JobRecord& job : journal_.adopt()) take_up(std::move(job));
  look_after_watchers();
  if (ticks_ % kSweepTicks == 0) journal_.sweep(limits_, std::time(nullptr));
}

// Those who watch a job of another process, which says what happened once it has ended there.
void Jobs::look_after_watchers() {
  std::vector<std::uint64_t> elsewhere;
  for (const auto& [handle, watcher] : watchers_)
    if (!live_.contains(watcher.job)) elsewhere.push_back(handle);
  for (const auto handle : elsewhere) tell_of_ended(handle);
}

JobView Jobs::accept(Order order) {
  queue_.throw_if_full();
  JobRecord job;
  job.id = "job_" + random_hex(12);
  job.caller = std::move(order.caller);
  job.created = std::time(nullptr);
  job.operation = order.summary.operation;
  job.deadline = to_unix(order.deadline);
  on_disk([&] { journal_.accept(job, order.form); });
  log_event("job_accepted", {{"id", job.id}, {"request", order.summary.request_id}});
  const std::string id = job.id;
  run(std::move(job), std::move(order.request), std::move(order.summary), order.deadline);
  return view_of(live_.at(id).job);
}

void Jobs::run(JobRecord job, EditRequest request, EditSummary summary, std::optional<Clock::time_point> deadline) {
  const std::string id = job.id;
  summary.request_id = id;
  EditSubmission submission{std::move(request), job.caller, deadline, std::max(1, limits_.max_attempts - job.attempts)};
  submission.accepted_before = true;
  Live& live = live_.insert_or_assign(id, Live{std::move(job), std::move(summary)}).first->second;
  const auto ticket = queue_.submit(std::move(submission), listener_of(id));
  live.ticket = ticket.id;
  add_event(live, "job.queued", ordered_json{{"type", "job.queued"}, {"queue_position", ticket.position}}.dump());
}

EditListener Jobs::listener_of(const std::string& id) {
  EditListener listener;
  listener.started = [this, id](int) { on_started(id); };
  listener.progress = [this, id](const EditProgress& progress) {
    const auto at = live_.find(id);
    if (at == live_.end()) return;
    at->second.progress = progress;
    add_event(at->second, at->second.job.operation + ".progress", progress_json(at->second.summary, progress));
  };
  listener.partial = [this, id](int index, const EditedPicture& picture) {
    const auto at = live_.find(id);
    if (at == live_.end()) return;
    add_event(at->second, at->second.job.operation + ".partial_image",
              partial_json(at->second.summary, index, picture));
  };
  listener.done = [this, id](EditOutcome outcome) { on_done(id, std::move(outcome)); };
  return listener;
}

// One that another process left unfinished.
void Jobs::take_up(JobRecord job) {
  log_event("job_taken_up", {{"id", job.id}, {"attempts", job.attempts}});
  const std::string id = job.id;
  EditSummary summary;
  try {
    EditRequest request = validate(journal_.form(id), rules_of(state_, task_of(job), false));
    summary = summarize(request, id);
    if (job.attempts >= limits_.max_attempts)
      throw HttpError(500, "too_many_attempts",
                      "the service or its worker ended each time that it ran this edit: " +
                          std::to_string(job.attempts) + " times");
    const auto deadline = from_unix(job.deadline);
    return run(std::move(job), std::move(request), std::move(summary), deadline);
  } catch (const HttpError& error) {
    live_.insert_or_assign(id, Live{std::move(job), std::move(summary)});
    on_done(id, error);
  } catch (const Error& error) {
    live_.insert_or_assign(id, Live{std::move(job), std::move(summary)});
    on_done(id, HttpError(500, "job_lost", error.what()));
  }
}

void Jobs::on_started(const std::string& id) {
  const auto at = live_.find(id);
  if (at == live_.end()) return;  // released
  Live& live = at->second;
  live.job.status = JobStatus::kRunning;
  ++live.job.attempts;
  if (!live.job.started) live.job.started = std::time(nullptr);
  live.progress.reset();
  // The steps of an attempt that was lost are taken again.
  std::erase_if(live.job.events, [](const JobEvent& event) { return !event.name.starts_with("job."); });
  try {
    journal_.set_started(live.job);
  } catch (const Error& error) {
    log_warning("jobs_unavailable", {{"id", id}, {"message", error.what()}});
  }
  add_event(live, "job.started", ordered_json{{"type", "job.started"}, {"attempt", live.job.attempts}}.dump());
}

// What passes the classifier is the result. One that is cancelled or released meanwhile has ended without it.
void Jobs::on_done(const std::string& id, EditOutcome outcome) {
  const auto at = live_.find(id);
  if (at == live_.end() || std::holds_alternative<HttpError>(outcome) || !classifier_.enabled())
    return conclude(id, std::move(outcome));
  const auto made = std::make_shared<EditOutcome>(std::move(outcome));
  classifier_.check(Classifier::Stage::kAfter, "", pictures_of(std::get<EditResult>(*made)),
                    from_unix(at->second.job.deadline), [this, id, made](const std::optional<HttpError>& refusal) {
                      if (const auto live = live_.find(id); refusal && live != live_.end())
                        live->second.policy = refusal->status() == 400 ? "after" : "unchecked";
                      conclude(id, refusal ? EditOutcome(*refusal) : std::move(*made));
                    });
}

void Jobs::conclude(const std::string& id, EditOutcome outcome) {
  const auto at = live_.find(id);
  if (at == live_.end() || at->second.ending) return;  // released, or cancelled
  const Live& live = at->second;
  log_edit(live.summary, outcome);
  if (auto* result = std::get_if<EditResult>(&outcome)) return end(id, {JobStatus::kSucceeded, {}, std::move(*result)});
  const HttpError& error = std::get<HttpError>(outcome);
  if (error.status() >= 500) access_.charge({live.job.caller}, -live.summary.n);
  end(id, {error.code() == "deadline_exceeded" ? JobStatus::kExpired : JobStatus::kFailed,
           inner_json(error),
           {},
           error.status()});
}

void Jobs::end(const std::string& id, Ending ending) {
  live_.at(id).ending = std::move(ending);
  settle(id);
}

// Journals an end and tells of it. False: the disk did not take it; it is tried again.
bool Jobs::settle(const std::string& id) {
  const auto at = live_.find(id);
  const Live& live = at->second;
  const Ending& ending = *live.ending;
  JobRecord ended = live.job;
  ended.status = ending.status;
  ended.finished = std::time(nullptr);
  ended.error = ending.error;
  std::erase_if(ended.events, [](const JobEvent& event) { return event.name.ends_with(".partial_image"); });
  const EventId before = live.job.events.empty() ? EventId{ended.epoch, 0} : live.job.events.back().id;
  JobEvent last{{ended.epoch, before.number + 1}, ending_of(ended), ""};
  ended.events.push_back(last);
  const EditResult* result = ending.result ? &*ending.result : nullptr;
  bool is_ours = false;
  try {
    is_ours = journal_.finish(ended, result);
  } catch (const Error& error) {
    log_warning("jobs_unavailable", {{"id", id}, {"message", error.what()}});
    return false;
  }
  const auto node = live_.extract(at);  // gone before anybody is told: who asks then is answered from the journal
  if (!is_ours) return true;
  audit(node.mapped(), ending);
  last.data = ending_json(ended, result);
  tell(id, last, true);
  return true;
}

void Jobs::audit(const Live& live, const Ending& ending) const {
  if (!audit_) return;
  const EditSummary& summary = live.summary;
  nlohmann::json line = {{"id", live.job.id},
                         {"key_name", live.job.caller},
                         {"route", "/v1/jobs/{id}"},
                         {"status", ending.http_status},
                         {"model_digest", state_.model_digest},
                         {"parameters_digest", summary.parameters_digest},
                         {"prompt_sha256", summary.prompt_sha256},
                         {"images_sha256", summary.images_sha256},
                         {"result_sha256", nullptr},
                         {"seconds", std::chrono::duration<double>(Clock::now() - live.accepted).count()}};
  if (ending.result) line["result_sha256"] = digest_of(*ending.result);
  if (!live.policy.empty()) line["policy"] = live.policy;
  audit_->append(std::move(line));
}

void Jobs::add_event(Live& live, const std::string& name, std::string data) {
  auto& events = live.job.events;
  const std::uint32_t number = events.empty() ? 1 : events.back().id.number + 1;
  events.push_back({{live.job.epoch, number}, name, std::move(data)});
  tell(live.job.id, JobEvent(events.back()), false);
}

void Jobs::tell(const std::string& job, const JobEvent& event, bool last) {
  std::vector<std::uint64_t> handles;  // telling one may end another
  for (const auto& [handle, watcher] : watchers_)
    if (watcher.job == job && watcher.last < event.id) handles.push_back(handle);
  for (const auto handle : handles) {
    const auto watcher = watchers_.find(handle);
    if (watcher == watchers_.end()) continue;
    watcher->second.last = event.id;
    const Tell tell = watcher->second.tell;
    if (last) watchers_.erase(watcher);
    tell(event, last);
  }
}

JobView Jobs::view_of(const JobRecord& job) const {
  JobView view{job, std::nullopt};
  view.job.events.clear();
  const auto at = live_.find(job.id);
  if (at == live_.end()) return view;
  view.place = queue_.place(at->second.ticket);
  view.job.status = view.place ? JobStatus::kQueued : JobStatus::kRunning;
  if (!view.place) view.progress = at->second.progress;
  return view;
}

JobView Jobs::find(const std::string& id, const Caller& caller) {
  const auto found = on_disk([&] { return journal_.find(id); });
  if (!found || (found->job.caller != caller.name && caller.role != Role::kAdmin))
    throw HttpError(404, "job_not_found", "no job '" + id + "' here");
  if (found->dropped)
    throw HttpError(
        410, "job_expired",
        "job '" + id + "' has ended as '" + std::string(name_of(found->job.status)) + "' and is no longer kept");
  return view_of(found->job);
}

EditResult Jobs::result(const std::string& id) {
  return on_disk([&] { return journal_.result(id); });
}

Jobs::Page Jobs::list(JobJournal::Query query) {
  const std::size_t limit = query.limit++;
  Page page;
  for (const JobRecord& job : on_disk([&] { return journal_.list(query); })) {
    if (page.jobs.size() == limit)
      page.has_more = true;
    else
      page.jobs.push_back(view_of(job));
  }
  return page;
}

JobView Jobs::cancel(const std::string& id, const Caller& caller) {
  JobView view = find(id, caller);
  if (view.job.finished) return view;
  const auto live = live_.find(id);
  if (live == live_.end()) {
    on_disk([&] { journal_.ask_to_cancel(id); });
    return view;
  }
  if (live->second.ending) return view;
  const std::uint64_t ticket = live->second.ticket;
  live->second.ending = Ending{JobStatus::kCancelled, {}, {}, 499};
  if (!settle(id)) {  // it would run again after a crash, against what the caller was told
    live->second.ending.reset();
    throw HttpError(503, "jobs_unavailable", "the journal of jobs cannot be used now: the job goes on").retry_after(10);
  }
  queue_.cancel(ticket, "requested");
  return find(id, caller);
}

std::uint64_t Jobs::watch(const std::string& id, const Caller& caller, EventId after, Tell tell) {
  find(id, caller);
  const std::uint64_t handle = ++last_watcher_;
  const auto live = live_.find(id);
  watchers_.emplace(handle, Watcher{id, after, std::move(tell)});
  if (live == live_.end()) {
    try {
      on_disk([&] { tell_of_ended(handle); });
    } catch (const HttpError&) {
      watchers_.erase(handle);  // whose caller has had an answer
      throw;
    }
    return handle;
  }
  const std::vector<JobEvent> events = live->second.job.events;
  for (const JobEvent& event : events) {
    const auto watcher = watchers_.find(handle);
    if (watcher == watchers_.end() || event.id <= watcher->second.last) continue;
    watcher->second.last = event.id;
    const Tell told = watcher->second.tell;  // may end itself
    told(event, false);
  }
  return handle;
}

// What is left to tell of a job that is not ours, if it has ended.
void Jobs::tell_of_ended(std::uint64_t handle) {
  const auto at = watchers_.find(handle);
  if (at == watchers_.end()) return;
  const auto found = journal_.find(at->second.job);
  if (found && !found->job.finished) return;
  const Watcher watcher = std::move(at->second);
  watchers_.erase(at);  // also where the result cannot be read: it would not be the next time, either
  std::vector<JobEvent> missed;
  if (found && !found->dropped) missed = found->job.events;
  std::erase_if(missed, [&](const JobEvent& event) { return event.id <= watcher.last; });
  if (!missed.empty()) {
    std::optional<EditResult> result;
    if (found->job.status == JobStatus::kSucceeded) result = journal_.result(found->job.id);
    missed.back().data = ending_json(found->job, result ? &*result : nullptr);
  } else {
    missed.push_back({watcher.last, "", ""});
  }
  for (const JobEvent& event : missed) watcher.tell(event, &event == &missed.back());
}

void Jobs::release() {
  takes_up_ = false;
  for (auto& [id, live] : std::exchange(live_, {})) {
    if (live.ending) continue;
    const bool runs = !queue_.place(live.ticket);
    queue_.cancel(live.ticket, "released");
    try {
      journal_.release(id, live.job.attempts - (runs ? 1 : 0));
      log_event("job_released", {{"id", id}});
    } catch (const Error& error) {  // found by whoever comes next, once we are gone
      log_warning("jobs_unavailable", {{"id", id}, {"message", error.what()}});
    }
  }
}

}  // namespace holdall::runtime::service
