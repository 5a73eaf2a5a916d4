// The routes of the main listener.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/service/access/access.h"
#include "runtime/service/access/audit_log.h"
#include "runtime/service/access/content_policy.h"
#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/health.h"
#include "runtime/service/http/http.h"

namespace holdall::runtime::service {

// What requests need to know of the service; written by it, on the same thread.
struct ServiceState {
  std::string model = "unknown";                 // the id that clients use
  std::int64_t model_created = 0;                // Unix time
  std::string model_digest, environment_digest;  // sha256s, as the worker tells them; the latter empty outside a bundle
  std::uint64_t max_output_pixels = 4'194'304;
  ContentPolicy policy;
  std::chrono::seconds heartbeat{15};  // of event streams
  bool admits = false;                 // else edits get 503 with this reason
  std::string reason = "loading", detail = "the model is being loaded";
};

class Api final : public Site {
 public:
  // Everything outlives the site. `audit`: null for none.
  Api(const ServiceState& state, EditQueue& queue, const HealthBoard& board, Metrics& metrics, Access& access,
      AuditLog* audit)
      : state_(state), queue_(queue), board_(board), metrics_(metrics), access_(access), audit_(audit) {}

  std::unique_ptr<RequestHandler> open(HttpRequest& request) override;
  void closed(const HttpRequest& request, const AccessRecord& record) override;

 private:
  std::unique_ptr<RequestHandler> open_edits(HttpRequest& request, const Caller& caller) const;
  void add_origin(HttpRequest& request) const;
  std::unique_ptr<RequestHandler> open_models(const HttpRequest& request) const;
  void audit(const HttpRequest& request, const std::string& route, int status, double seconds) const;

  const ServiceState& state_;
  EditQueue& queue_;
  const HealthBoard& board_;
  Metrics& metrics_;
  Access& access_;
  AuditLog* const audit_;
};

// The handler of POST /v1/images/edits. Throws HttpError 503, 429, 415 or 400 before the body is read.
std::unique_ptr<RequestHandler> make_edit_handler(HttpRequest& request, const Caller& caller, const ServiceState& state,
                                                  EditQueue& queue, Access& access);

// A handler that ignores the body and answers `reply`.
std::unique_ptr<RequestHandler> make_fixed_handler(HttpReply reply);

}  // namespace holdall::runtime::service
