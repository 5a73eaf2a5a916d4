#include "runtime/service/api.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "runtime/service/http/http_error.h"
#include "runtime/service/log.h"
#include "runtime/service/metrics.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kEdits = "/v1/images/edits", kGenerations = "/v1/images/generations", kModels = "/v1/models",
                           kModel = "/v1/models/";

class FixedHandler final : public RequestHandler {
 public:
  explicit FixedHandler(HttpReply reply) : reply_(std::move(reply)) {}
  void body(std::string_view) override {}
  void finish(std::shared_ptr<Exchange> exchange) override { exchange->reply(std::move(reply_)); }

 private:
  HttpReply reply_;
};

// The label of metrics and logs: one of ours or "other", never the client's words.
std::string route_of(const std::string& path) {
  for (const auto route : {kEdits, kGenerations, kModels})
    if (path == route) return path;
  if (path.starts_with(kModel)) return "/v1/models/{id}";
  for (const char* probe :
       {"/livez", "/readyz", "/startupz", "/health", "/metrics", "/v2/health/live", "/v2/health/ready"})
    if (path == probe) return path;
  return "other";
}

void require_method(const HttpRequest& request, std::string_view method) {
  const bool get = method == "GET";
  if (request.method == method || (get && request.method == "HEAD")) return;
  throw HttpError(405, "method_not_allowed", "use " + std::string(method) + " for '" + request.path + "'")
      .with("Allow", get ? "GET, HEAD" : std::string(method));
}

HttpReply json_reply(const ordered_json& body) {
  HttpReply reply;
  reply.body = body.dump();
  return reply;
}

}  // namespace

std::unique_ptr<RequestHandler> make_fixed_handler(HttpReply reply) {
  return std::make_unique<FixedHandler>(std::move(reply));
}

std::unique_ptr<RequestHandler> Api::open(HttpRequest& request) {
  if (auto reply = answer_probe(request.path, board_, metrics_)) {
    require_method(request, "GET");
    if (request.path == "/metrics") access_.identify(request);
    return make_fixed_handler(std::move(*reply));
  }
  const Caller caller = access_.identify(request);
  request.notes["key_name"] = caller.name;
  if (request.path == kEdits) return open_edits(request, caller);
  if (request.path == kGenerations) {
    require_method(request, "POST");
    throw HttpError(400, "unsupported_route",
                    "model '" + state_.model + "' only edits: send a picture to '/v1/images/edits'");
  }
  if (request.path == kModels || request.path.starts_with(kModel)) return open_models(request);
  throw HttpError(404, "not_found", "no '" + request.path + "' here");
}

std::unique_ptr<RequestHandler> Api::open_edits(HttpRequest& request, const Caller& caller) const {
  require_method(request, "POST");
  require_role(caller, Role::kEditor);
  request.reply_headers = access_.rate_headers(caller);
  add_origin(request);
  access_.admit(caller);
  return make_edit_handler(request, caller, state_, queue_, access_);
}

// What would make the picture: in the reply's head and in the audit log.
void Api::add_origin(HttpRequest& request) const {
  request.notes["model_digest"] = state_.model_digest;
  for (const auto& [name, digest] :
       {std::pair{"x-model-digest", &state_.model_digest}, std::pair{"x-env-digest", &state_.environment_digest}})
    if (!digest->empty()) request.reply_headers.emplace_back(name, *digest);
}

std::unique_ptr<RequestHandler> Api::open_models(const HttpRequest& request) const {
  require_method(request, "GET");
  const ordered_json model = {
      {"id", state_.model}, {"object", "model"}, {"created", state_.model_created}, {"owned_by", "holdall"}};
  if (request.path == kModels) return make_fixed_handler(json_reply({{"object", "list"}, {"data", {model}}}));
  const std::string id = request.path.substr(kModel.size());
  if (id != state_.model)
    throw HttpError(404, "model_not_found", "model '" + id + "' is not served here: use '" + state_.model + "'",
                    "model");
  return make_fixed_handler(json_reply(model));
}

void Api::closed(const HttpRequest& request, const AccessRecord& record) {
  const std::string route = route_of(request.path);
  const double seconds = std::chrono::duration<double>(record.duration).count();
  metrics_.request_done(route, request.method, record.status, seconds, static_cast<double>(record.bytes_in));
  log_event("request", {{"id", request.id},
                        {"method", request.method},
                        {"route", route},
                        {"status", record.status},
                        {"seconds", seconds},
                        {"bytes_in", record.bytes_in},
                        {"bytes_out", record.bytes_out}});
  if (audit_ && (route == kEdits || record.status == 401 || record.status == 403))
    audit(request, route, record.status, seconds);
}

void Api::audit(const HttpRequest& request, const std::string& route, int status, double seconds) const {
  nlohmann::json line = {{"id", request.id}, {"route", route}, {"status", status}, {"seconds", seconds}};
  for (const char* field :
       {"key_name", "model_digest", "parameters_digest", "prompt_sha256", "images_sha256", "result_sha256"}) {
    const auto note = request.notes.find(field);
    line[field] = note == request.notes.end() || note->second.empty() ? nlohmann::json() : nlohmann::json(note->second);
  }
  audit_->append(std::move(line));
}

}  // namespace holdall::runtime::service
