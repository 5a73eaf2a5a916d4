#include "runtime/service/api.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "runtime/service/http/http_error.h"
#include "runtime/service/jobs/job_handlers.h"
#include "runtime/service/log.h"
#include "runtime/service/metrics.h"
#include "runtime/service/web/web.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kEdits = "/v1/images/edits", kGenerations = "/v1/images/generations",
                           kContent = "/v1/images/{id}/content", kChat = "/v1/chat/completions", kModels = "/v1/models",
                           kModel = "/v1/models/{id}", kSamples = "/v1/samples", kOpenApi = "/openapi.json",
                           kPage = "/", kMetrics = "/metrics", kJobs = "/v1/jobs", kJob = "/v1/jobs/{id}",
                           kJobEvents = "/v1/jobs/{id}/events", kId = "{id}";

// Those that ask for no key: what a browser opens by its address alone, and probes.
constexpr std::string_view kOpen[] = {
    kContent, kOpenApi, kPage, "/livez", "/readyz", "/startupz", "/health", "/v2/health/live", "/v2/health/ready"};

constexpr Route kRoutes[] = {
    {"POST", kEdits},     {"POST", kGenerations}, {"GET", kContent},          {"POST", kChat},
    {"GET", kModels},     {"GET", kModel},        {"GET", kSamples},          {"GET", kJobs},
    {"GET", kJob},        {"DELETE", kJob},       {"GET", kJobEvents},        {"GET", kOpenApi},
    {"GET", kPage},       {"GET", kMetrics},      {"GET", "/livez"},          {"GET", "/readyz"},
    {"GET", "/startupz"}, {"GET", "/health"},     {"GET", "/v2/health/live"}, {"GET", "/v2/health/ready"}};

// What stands for "{id}", or nullopt where `path` is another route's.
std::optional<std::string> match(std::string_view route, const std::string& path) {
  const auto at = route.find(kId);
  if (at == route.npos) return route == path ? std::optional<std::string>("") : std::nullopt;
  const std::string_view before = route.substr(0, at), after = route.substr(at + kId.size());
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after))
    return std::nullopt;
  const std::string id = path.substr(before.size(), path.size() - before.size() - after.size());
  return !after.empty() && id.find('/') != id.npos ? std::nullopt : std::optional(id);
}

struct Found {
  std::string_view path;  // empty: none
  std::string id, methods;
  bool right_method = false;
};

Found find(const HttpRequest& request) {
  Found found;
  for (const Route& route : kRoutes) {
    auto id = match(route.path, request.path);
    if (!id) continue;
    if (found.path != route.path) found = {route.path, {}, {}};  // the narrower one comes later
    found.id = std::move(*id);
    const bool get = route.method == "GET";
    found.methods += (found.methods.empty() ? "" : ", ") + std::string(get ? "GET, HEAD" : route.method);
    if (request.method == route.method || (get && request.method == "HEAD")) found.right_method = true;
  }
  return found;
}

class FixedHandler final : public RequestHandler {
 public:
  explicit FixedHandler(HttpReply reply) : reply_(std::move(reply)) {}
  void body(std::string_view) override {}
  void finish(std::shared_ptr<Exchange> exchange) override { exchange->reply(std::move(reply_)); }

 private:
  HttpReply reply_;
};

HttpReply json_reply(std::string body) {
  HttpReply reply;
  reply.body = std::move(body);
  return reply;
}

}  // namespace

std::unique_ptr<RequestHandler> make_fixed_handler(HttpReply reply) {
  return std::make_unique<FixedHandler>(std::move(reply));
}

EditRules rules_of(const ServiceState& state, ImageTask task, bool keeps_pictures) {
  return {state.model, state.max_output_pixels, task, keeps_pictures, state.short_side, state.shows_partial_images};
}

std::span<const Route> routes() noexcept {
  return kRoutes;
}

std::unique_ptr<RequestHandler> Api::open(HttpRequest& request) {
  const Found found = find(request);
  Caller caller;
  if (std::ranges::find(kOpen, found.path) == std::end(kOpen)) caller = access_.identify(request);
  request.notes["key_name"] = caller.name;
  if (found.path.empty()) throw HttpError(404, "not_found", "no '" + request.path + "' here");
  if (!found.right_method)
    throw HttpError(405, "method_not_allowed",
                    "'" + request.path + "' does not take " + request.method + ": use " + found.methods)
        .with("Allow", found.methods);
  return open_route(found.path, found.id, request, caller);
}

std::unique_ptr<RequestHandler> Api::open_route(std::string_view path, const std::string& id, HttpRequest& request,
                                                const Caller& caller) const {
  if (path == kEdits) return open_images(request, caller, ImageTask::kEdit);
  if (path == kGenerations) return open_images(request, caller, ImageTask::kGeneration);
  if (path == kContent) return open_content(id, request);
  if (path == kModels || path == kModel) return open_model(id);
  if (path == kSamples) return make_fixed_handler(json_reply(state_.samples));
  if (path == kJobs) return open_job_list(request, caller, edits_.jobs);
  if (path == kJob) return open_job(id, request, caller, edits_.jobs);
  if (path == kJobEvents) return open_job_events(id, request, caller, edits_.jobs, state_.heartbeat);
  if (path == kOpenApi) return make_fixed_handler(openapi_reply());
  if (path == kPage) return make_fixed_handler(page_reply(access_.asks_for_keys()));
  if (path == kChat)
    throw HttpError(404, "model_not_found",
                    "no model for chats is served here: this server has '" + state_.model + "' for '" +
                        std::string(state_.edits ? kEdits : kGenerations) + "'",
                    "model");
  return make_fixed_handler(answer_probe(request.path, board_, metrics_).value());
}

std::unique_ptr<RequestHandler> Api::open_images(HttpRequest& request, const Caller& caller, ImageTask task) const {
  require_role(caller, Role::kEditor);
  request.reply_headers = access_.rate_headers(caller);
  add_origin(request);
  access_.admit(caller);
  return make_edit_handler(request, caller, task, edits_);
}

std::unique_ptr<RequestHandler> Api::open_content(const std::string& id, const HttpRequest& request) const {
  if (!edits_.contents) throw HttpError(404, "not_found", "this server keeps no pictures: start it with --state");
  return make_fixed_handler(edits_.contents->get(id, request.query));
}

// What would make the picture: in the reply's head and in the audit log.
void Api::add_origin(HttpRequest& request) const {
  request.notes["model_digest"] = state_.model_digest;
  for (const auto& [name, digest] :
       {std::pair{"x-model-digest", &state_.model_digest}, std::pair{"x-env-digest", &state_.environment_digest}})
    if (!digest->empty()) request.reply_headers.emplace_back(name, *digest);
  if (state_.short_side && state_.edits)
    request.reply_headers.emplace_back("x-preprocess-short-side", std::to_string(*state_.short_side));
}

// `id`: empty for the list.
std::unique_ptr<RequestHandler> Api::open_model(const std::string& id) const {
  const ordered_json model = {{"id", state_.model},
                              {"object", "model"},
                              {"created", state_.model_created},
                              {"owned_by", "holdall"},
                              {"edits", state_.edits}};
  if (id.empty()) return make_fixed_handler(json_reply(ordered_json{{"object", "list"}, {"data", {model}}}.dump()));
  if (id != state_.model)
    throw HttpError(404, "model_not_found", "model '" + id + "' is not served here: use '" + state_.model + "'",
                    "model");
  return make_fixed_handler(json_reply(model.dump()));
}

void Api::closed(const HttpRequest& request, const AccessRecord& record) {
  // The label of metrics and logs: one of ours or "other", never the client's words.
  const std::string_view known = find(request).path;
  const std::string route(known.empty() ? "other" : known);
  const double seconds = std::chrono::duration<double>(record.duration).count();
  metrics_.request_done(route, request.method, record.status, seconds, static_cast<double>(record.bytes_in));
  log_event("request", {{"id", request.id},
                        {"method", request.method},
                        {"route", route},
                        {"status", record.status},
                        {"seconds", seconds},
                        {"bytes_in", record.bytes_in},
                        {"bytes_out", record.bytes_out}});
  if (audit_ && (route == kEdits || route == kGenerations || record.status == 401 || record.status == 403))
    audit(request, route, record.status, seconds);
}

void Api::audit(const HttpRequest& request, const std::string& route, int status, double seconds) const {
  nlohmann::json line = {{"id", request.id}, {"route", route}, {"status", status}, {"seconds", seconds}};
  for (const char* field :
       {"key_name", "model_digest", "parameters_digest", "prompt_sha256", "images_sha256", "result_sha256"}) {
    const auto note = request.notes.find(field);
    line[field] = note == request.notes.end() || note->second.empty() ? nlohmann::json() : nlohmann::json(note->second);
  }
  if (const auto policy = request.notes.find("policy"); policy != request.notes.end()) line["policy"] = policy->second;
  audit_->append(std::move(line));
}

}  // namespace holdall::runtime::service
