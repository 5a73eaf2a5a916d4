#include "runtime/service/jobs/job_handlers.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <utility>

#include "runtime/service/http/event_stream.h"

namespace holdall::runtime::service {
namespace {

constexpr std::size_t kDefaultPage = 20, kLargestPage = 100;  // as OpenAI's lists

HttpReply json_reply(std::string body) {
  HttpReply reply;
  reply.body = std::move(body);
  return reply;
}

JobJournal::Query query_of(const std::string& text) {
  JobJournal::Query query;
  query.limit = kDefaultPage;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const auto equals = pair.find('=');
    const std::string name(pair.substr(0, equals)), value(equals == pair.npos ? "" : pair.substr(equals + 1));
    if (name == "status") {
      query.status = job_status_named(value);
      if (!query.status)
        throw bad_field(name, "'status' must be queued, running, succeeded, failed, cancelled or expired");
    } else if (name == "limit") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), query.limit);
      if (error != std::errc() || end != value.data() + value.size() || query.limit < 1 || query.limit > kLargestPage)
        throw bad_field(name, "'limit' must be a whole number from 1 to 100");
    } else if (name == "after") {
      query.after = value;
    } else if (!name.empty()) {
      throw bad_field(name, "unknown parameter '" + name + "'", "unknown_field");
    }
  }
  return query;
}

// Follows a job until it ends. Leaving does not cancel it.
class EventsHandler final : public RequestHandler {
 public:
  EventsHandler(std::string id, EventId after, Caller caller, Jobs& jobs, std::chrono::seconds heartbeat)
      : id_(std::move(id)), after_(after), caller_(std::move(caller)), jobs_(jobs), heartbeat_(heartbeat) {}
  void body(std::string_view) override {}

  void finish(std::shared_ptr<Exchange> exchange) override {
    struct State {
      bool begun = false, gone = false;
      std::uint64_t watcher = 0;
    };
    const auto state = std::make_shared<State>();
    const auto begin = [state](Exchange& to) {
      if (!std::exchange(state->begun, true)) to.begin(event_stream_head());
    };
    exchange->on_gone([state, &jobs = jobs_] {
      state->gone = true;
      jobs.unwatch(state->watcher);
    });
    // Weak: what ticks must not keep what it ticks for.
    exchange->every(heartbeat_, [weak = std::weak_ptr(exchange), begin] {
      const auto alive = weak.lock();
      if (!alive) return;
      begin(*alive);
      alive->send(kHeartbeat);
    });
    state->watcher = jobs_.watch(id_, caller_, after_, [exchange, begin](const JobEvent& event, bool last) {
      begin(*exchange);
      if (!event.data.empty()) exchange->send(event_text(event.name, event.data, event.id.text()));
      if (last) exchange->end();
    });
    if (state->gone) return jobs_.unwatch(state->watcher);
    begin(*exchange);
  }

 private:
  const std::string id_;
  const EventId after_;
  const Caller caller_;
  Jobs& jobs_;
  const std::chrono::seconds heartbeat_;
};

EventId last_event_of(const HttpRequest& request) {
  const std::string* text = request.header("last-event-id");
  if (!text || text->empty()) return {};
  const auto id = EventId::parse(*text);
  if (!id) throw bad_field("Last-Event-ID", "'Last-Event-ID' must be the id of an event of this job");
  return *id;
}

Jobs& kept(Jobs* jobs) {
  if (!jobs) throw HttpError(404, "not_found", "this server keeps no jobs: start it with --state");
  return *jobs;
}

}  // namespace

std::unique_ptr<RequestHandler> open_job_list(const HttpRequest& request, const Caller& caller, Jobs* jobs) {
  JobJournal::Query query = query_of(request.query);
  query.caller = caller.name;
  const Jobs::Page page = kept(jobs).list(std::move(query));
  return make_fixed_handler(json_reply(jobs_json(page.jobs, page.has_more)));
}

std::unique_ptr<RequestHandler> open_job(const std::string& id, const HttpRequest& request, const Caller& caller,
                                         Jobs* jobs) {
  if (request.method == "DELETE") require_role(caller, Role::kEditor);
  const JobView view = request.method == "DELETE" ? kept(jobs).cancel(id, caller) : kept(jobs).find(id, caller);
  if (view.job.status != JobStatus::kSucceeded) return make_fixed_handler(json_reply(job_json(view, nullptr)));
  const EditResult result = jobs->result(id);
  return make_fixed_handler(json_reply(job_json(view, &result)));
}

std::unique_ptr<RequestHandler> open_job_events(const std::string& id, const HttpRequest& request, const Caller& caller,
                                                Jobs* jobs, std::chrono::seconds heartbeat) {
  const EventId after = last_event_of(request);
  kept(jobs).find(id, caller);
  if (request.method == "HEAD") return make_fixed_handler(event_stream_head());
  return std::make_unique<EventsHandler>(id, after, caller, *jobs, heartbeat);
}

bool wants_async(const HttpRequest& request) {
  const std::string* prefer = request.header("prefer");
  if (!prefer) return false;
  std::string_view rest = *prefer;
  while (!rest.empty()) {
    const std::string_view preference = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), preference.size() + 1));
    std::string name(preference.substr(0, preference.find_first_of("=;")));
    std::erase_if(name, [](unsigned char c) { return c == ' ' || c == '\t'; });
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    if (name == "respond-async") return true;
  }
  return false;
}

HttpReply accepted_reply(const JobView& view) {
  HttpReply reply = json_reply(job_json(view, nullptr));
  reply.status = 202;
  reply.headers = {{"Location", "/v1/jobs/" + view.job.id}, {"Preference-Applied", "respond-async"}};
  if (view.place) reply.headers.emplace_back("x-queue-position", std::to_string(view.place->position));
  return reply;
}

}  // namespace holdall::runtime::service
