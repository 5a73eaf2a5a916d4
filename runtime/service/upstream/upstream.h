// Another server with OpenAI's API that makes edits where this one cannot, or the reverse.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/http/http_call.h"
#include "runtime/service/upstream/breaker.h"

namespace holdall::runtime::service {

struct UpstreamSettings {
  enum class Mode { kPrimary, kStandby };  // asked before the model here, or where that fails

  std::string url;      // as OpenAI's clients take it: "http://host:8080/v1"; empty: there is none
  std::string api_key;  // empty: none is sent
  std::string model;    // to ask for; empty: the field is left out
  Mode mode = Mode::kStandby;
  std::chrono::seconds timeout{600};       // of one request
  std::chrono::seconds probe_interval{5};  // of GET /models; 0: none
  Breaker::Limits breaker;
};

class Upstream {
 public:
  // `io` and `metrics` outlive it. Throws runtime::Error if the address cannot be used.
  Upstream(boost::asio::io_context& io, Metrics& metrics, const UpstreamSettings& settings);
  ~Upstream();

  bool is_primary() const noexcept;
  const std::string& name() const noexcept;  // "host:port", for x-served-by
  bool can_serve() const;                    // the breaker would let a request through

  // nullopt: it cannot serve this one, somebody else may.
  using Done = std::function<void(std::optional<EditOutcome>)>;
  // The form is sent as the client gave it, but for the model and what asks for a stream; of `request` what the answer
  // is read by: task, n, seed, format. `done` is called once, later. Null if the breaker lets nothing through.
  std::shared_ptr<HttpCall> edit(const EditForm& form, const EditRequest& request,
                                 std::optional<Clock::time_point> deadline, Done done);

  void stop();  // probing

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
