#include "runtime/service/health.h"

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/service/http/http_error.h"
#include "runtime/service/http/http_server.h"
#include "runtime/service/metrics.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

HttpReply ok() {
  HttpReply reply;
  reply.body = R"({"status":"ok"})";
  return reply;
}

HttpReply unavailable(const std::string& reason, const std::string& detail) {
  HttpReply reply = HttpError(503, reason, detail.empty() ? reason : detail).retry_after(1).reply();
  ordered_json body = {{"status", "unavailable"}, {"reason", reason}};
  body.update(ordered_json::parse(reply.body));
  reply.body = body.dump();
  return reply;
}

// Discards a body: a probe that sends one gets its answer all the same.
class ProbeHandler final : public RequestHandler {
 public:
  explicit ProbeHandler(HttpReply reply) : reply_(std::move(reply)) {}
  void body(std::string_view) override {}
  void finish(std::shared_ptr<Exchange> exchange) override { exchange->reply(std::move(reply_)); }

 private:
  HttpReply reply_;
};

class HealthSite final : public Site {
 public:
  HealthSite(const HealthBoard& board, Metrics& metrics) : board_(board), metrics_(metrics) {}
  std::unique_ptr<RequestHandler> open(HttpRequest& request) override {
    auto reply = answer_probe(request.path, board_, metrics_);
    if (!reply) throw HttpError(404, "not_found", "no '" + request.path + "' here: this listener answers probes only");
    if (request.method != "GET" && request.method != "HEAD")
      throw HttpError(405, "method_not_allowed", "use GET for '" + request.path + "'").with("Allow", "GET, HEAD");
    return std::make_unique<ProbeHandler>(std::move(*reply));
  }
  void closed(const HttpRequest&, const AccessRecord&) override {}

 private:
  const HealthBoard& board_;
  Metrics& metrics_;
};

HttpLimits probe_limits() {
  HttpLimits limits;
  limits.max_body_bytes = 64 << 10;
  limits.max_connections = 1024;
  limits.body_timeout = limits.write_timeout = std::chrono::seconds(10);
  return limits;
}

}  // namespace

std::optional<HttpReply> answer_probe(const std::string& path, const HealthBoard& board, Metrics& metrics) {
  if (path == "/livez" || path == "/v2/health/live")
    return board.alive() ? ok() : unavailable("stuck", "the service's loop does not turn");
  if (path == "/readyz" || path == "/health" || path == "/v2/health/ready") {
    const auto state = board.get();
    return state->ready ? ok() : unavailable(state->reason, state->detail);
  }
  if (path == "/startupz") {
    const auto state = board.get();
    return state->started ? ok() : unavailable(state->reason, state->detail);
  }
  if (path == "/metrics") {
    HttpReply reply;
    reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    reply.body = metrics.exposition();
    return reply;
  }
  return std::nullopt;
}

class HealthServer::Impl {
 public:
  Impl(int fd, const HealthBoard& board, Metrics& metrics)
      : site_(board, metrics), server_(io_, fd, site_, probe_limits()) {
    server_.accept();
    // Signals are the service's: its thread sleeps in a wait that they must end.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    thread_ = std::thread([this] { io_.run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Impl() {
    io_.stop();
    thread_.join();
  }

 private:
  boost::asio::io_context io_{1};
  HealthSite site_;
  HttpServer server_;
  std::thread thread_;
};

HealthServer::HealthServer(int listening_fd, const HealthBoard& board, Metrics& metrics)
    : impl_(std::make_unique<Impl>(listening_fd, board, metrics)) {}
HealthServer::~HealthServer() = default;

}  // namespace holdall::runtime::service
