// The routes of the main listener.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/service/access/access.h"
#include "runtime/service/access/audit_log.h"
#include "runtime/service/access/content_policy.h"
#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/health.h"
#include "runtime/service/http/http.h"
#include "runtime/service/store/content_store.h"

namespace holdall::runtime::service {

// What requests need to know of the service; written by it, on the same thread.
struct ServiceState {
  std::string model = "unknown";                 // the id that clients use
  std::int64_t model_created = 0;                // Unix time
  bool edits = true;                             // it needs pictures; else it makes them from text
  std::string model_identity;                    // all that the worker says of its model: another one, other results
  std::string model_digest, environment_digest;  // sha256s, as the worker tells them; the latter empty outside a bundle
  std::string samples = R"({"object":"list","data":[]})";  // what read_samples() gives of the model's
  std::uint64_t max_output_pixels = 4'194'304;
  ContentPolicy policy;
  std::chrono::seconds url_ttl{3600};  // of addresses of pictures
  std::chrono::seconds heartbeat{15};  // of event streams
  std::optional<int> short_side;       // of pictures that come in
  bool shows_partial_images = true;    // not where a result is looked at before it is handed out
  bool admits = false;                 // else edits get 503 with this reason
  std::string reason = "loading", detail = "the model is being loaded";
};

class Classifier;
class EditCache;
class EditRouter;
class Idempotency;
class Jobs;
class PictureFetcher;

EditRules rules_of(const ServiceState& state, ImageTask task, bool keeps_pictures);

// What edits go through.
struct EditContext {
  const ServiceState& state;
  EditQueue& queue;
  Access& access;
  ContentStore* contents;  // null where nothing outlives the process
  Jobs* jobs;              // as above
  EditCache* cache;        // as above
  EditRouter& router;
  Idempotency& idempotency;
  const PictureFetcher& fetcher;
  Classifier& classifier;
  Metrics& metrics;
};

// As openapi.json writes it: "{id}" stands for one part of the path, at its end for the rest.
struct Route {
  std::string_view method, path;
};
// All that there is; GET stands for HEAD, too.
std::span<const Route> routes() noexcept;

class Api final : public Site {
 public:
  // Everything outlives the site. `audit`: null for none.
  Api(const EditContext& edits, const HealthBoard& board, Metrics& metrics, AuditLog* audit)
      : state_(edits.state), access_(edits.access), edits_(edits), board_(board), metrics_(metrics), audit_(audit) {}

  std::unique_ptr<RequestHandler> open(HttpRequest& request) override;
  void closed(const HttpRequest& request, const AccessRecord& record) override;

 private:
  using Handler = std::unique_ptr<RequestHandler>;
  Handler open_route(std::string_view path, const std::string& id, HttpRequest& request, const Caller& caller) const;
  Handler open_images(HttpRequest& request, const Caller& caller, ImageTask task) const;
  Handler open_content(const std::string& id, const HttpRequest& request) const;
  Handler open_model(const std::string& id) const;
  void add_origin(HttpRequest& request) const;
  void audit(const HttpRequest& request, const std::string& route, int status, double seconds) const;

  const ServiceState& state_;
  Access& access_;
  const EditContext edits_;
  const HealthBoard& board_;
  Metrics& metrics_;
  AuditLog* const audit_;
};

// The handler of POST /v1/images/edits and /generations. Throws HttpError 503, 429, 415 or 400 before the body is read.
std::unique_ptr<RequestHandler> make_edit_handler(HttpRequest& request, const Caller& caller, ImageTask task,
                                                  const EditContext& context);

// A handler that ignores the body and answers `reply`.
std::unique_ptr<RequestHandler> make_fixed_handler(HttpReply reply);

}  // namespace holdall::runtime::service
