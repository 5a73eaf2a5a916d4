#include "runtime/service/service.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/error.h"
#include "runtime/ipc/kinds.h"
#include "runtime/service/access/access.h"
#include "runtime/service/access/audit_log.h"
#include "runtime/service/access/classifier.h"
#include "runtime/service/api.h"
#include "runtime/service/edits/edit_cache.h"
#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/edits/edit_router.h"
#include "runtime/service/edits/idempotency.h"
#include "runtime/service/edits/shared_edits.h"
#include "runtime/service/fetch/picture_fetcher.h"
#include "runtime/service/health.h"
#include "runtime/service/http/descriptors.h"
#include "runtime/service/http/http_server.h"
#include "runtime/service/http/sockets.h"
#include "runtime/service/jobs/jobs.h"
#include "runtime/service/log.h"
#include "runtime/service/metrics.h"
#include "runtime/service/notify.h"
#include "runtime/service/settings.h"
#include "runtime/service/store/database.h"
#include "runtime/service/upstream/upstream.h"
#include "runtime/service/web/samples.h"
#include "runtime/service/worker/worker_process.h"

namespace holdall::runtime::service {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using nlohmann::json;

constexpr std::chrono::milliseconds kFirstBackOff{100}, kLastBackOff{30'000};
constexpr int kStartAttempts = 3;                      // of a worker that dies before it was ever ready
constexpr std::chrono::milliseconds kDrainGrace{500};  // for requests already on their way on open connections
constexpr std::chrono::seconds kWorkerExit{10}, kFarewell{2};

class Service final : public WorkerEvents {
 public:
  Service(const Options& options, const Listeners& listeners)
      : options_(options),
        settings_(read_settings(options.config)),
        database_(options.state.empty() ? "" : options.state / "holdall.sqlite"),
        access_(options.keys, database_, metrics_),
        audit_(options.state.empty() ? nullptr : std::make_unique<AuditLog>(options.state / "audit.jsonl")),
        http_inherited_(listeners.http.inherited),
        health_(listeners.health.fd, board_, metrics_),
        worker_(io_, options_, *this),
        queue_(io_, metrics_, options.queue_limit.value_or(settings_.queue_limit), settings_.max_pixels,
               [this](const ipc::Frame& frame) { worker_.send(frame); }),
        contents_(options.state.empty() ? nullptr : std::make_unique<ContentStore>(database_)),
        jobs_(options.state.empty()
                  ? nullptr
                  : std::make_unique<Jobs>(io_, options.state, state_, queue_, access_, classifier_, audit_.get())),
        cache_(options.state.empty() ? nullptr : std::make_unique<EditCache>(options.state, database_)),
        shared_(queue_),
        upstream_(settings_.upstream.url.empty() ? nullptr
                                                 : std::make_unique<Upstream>(io_, metrics_, settings_.upstream)),
        router_(shared_, upstream_.get(), state_),
        idempotency_(database_),
        api_({state_, queue_, access_, contents_.get(), jobs_.get(), cache_.get(), router_, idempotency_, fetcher_,
              classifier_, metrics_},
             board_, metrics_, audit_.get()),
        http_(io_, listeners.http.fd, api_, limits()) {
    apply_settings();
  }

  int run() {
    signals_.add(SIGTERM);
    signals_.add(SIGINT);
    signals_.add(SIGHUP);
    wait_for_signal();
    beat();
    queue_.on_idle([this] { check_drained_soon(); });
    queue_.on_hang([this] {
      log_warning("worker_hung", {{"message", "silent for too long while it edits: it is killed"}});
      hung_ = true;
      worker_.kill();
    });
    http_.on_change([this] {
      metrics_.set_connections(static_cast<double>(http_.connections()));
      check_drained_soon();
    });
    worker_.start();
    io_.run();
    if (failure_) throw *failure_;
    return exit_code_;
  }

  void on_frame(ipc::Frame frame) override {
    try {
      const json header = json::parse(frame.header);
      const std::string type = header.at("type");
      if (type == "status")
        on_status(header.at("text"), header.value("stage", "loading"));
      else if (type == "ready")
        on_ready(header.at("model"), header.value("samples", json::array()));
      else if (type == "fatal")
        fatal_.emplace(ipc::kind_of(header.at("kind").get<std::string>()), header.at("message").get<std::string>());
      else
        queue_.on_frame(std::move(frame));
    } catch (const std::exception& error) {
      log_warning("worker_protocol", {{"message", error.what()}});
      worker_.kill();
    }
  }

  void on_exit(const std::string& reason, bool expected) override {
    log_event("worker_exit", {{"reason", reason}, {"expected", expected}});
    if (drained_) return io_.stop();
    const bool hung = std::exchange(hung_, false);
    const std::string cause = fatal_ ? fatal_->what()
                              : hung ? "it hung: it was silent for ten times as long as its steps take"
                                     : reason;
    if (!ever_ready_ && (fatal_ || ++failed_starts_ == kStartAttempts)) {
      failure_ = fatal_ ? *fatal_ : Error(ErrorKind::kInternal, "the worker never became ready: " + reason);
      return io_.stop();
    }
    metrics_.worker_restarted(fatal_ ? "load_failed" : hung ? "hung" : "crashed");
    fatal_.reset();
    // Before the queue answers: a client must not find the service ready after it has heard of the loss.
    set_unready("worker_restarting", "the worker ended and is being started again: " + cause);
    queue_.worker_lost(cause);
    retry_.expires_after(back_off_);
    back_off_ = std::min(2 * back_off_, kLastBackOff);
    retry_.async_wait([this](error_code stopped) {
      if (!stopped) start_again();
    });
  }

 private:
  void start_again() {
    try {
      worker_.start();
    } catch (const Error& error) {
      on_exit(error.what(), false);
    }
  }

  void on_status(const std::string& text, const std::string& stage) {
    notifier_.status(text);
    log_event("worker_status", {{"text", text}});
    if (!ready_ && !draining_) set_unready(ever_ready_ ? "worker_restarting" : stage, text);
  }

  void on_ready(const json& model, const json& samples) {
    log_event("worker_ready", {{"model", model}});
    const auto text = [&](const char* key) {
      return model.contains(key) && model[key].is_string() ? model[key].get<std::string>() : "";
    };
    state_.model = text("name");
    state_.model_identity = model.dump();
    state_.model_created = std::time(nullptr);
    state_.edits = model.value("edits", true);
    state_.model_digest = text("digest");
    state_.environment_digest = text("environment_digest");
    state_.samples = read_samples(samples);
    metrics_.set_build_info({text("torch"), text("cuda"), state_.model_digest, state_.environment_digest});
    back_off_ = kFirstBackOff;
    ready_ = true;
    if (!draining_) {
      state_.admits = true;
      board_.set({true, true, "", ""});
      metrics_.set_ready(1);
    }
    if (!std::exchange(ever_ready_, true)) {
      if (jobs_) jobs_->start();
      http_.accept();
      notifier_.status("serving " + state_.model);
      notifier_.ready();
    }
    queue_.worker_ready();
  }

  void set_unready(const std::string& reason, const std::string& detail) {
    ready_ = false;
    metrics_.set_ready(0);
    if (draining_) return;  // stays "draining"
    state_.admits = false;
    state_.reason = reason;
    state_.detail = detail;
    board_.set({false, ever_ready_, reason, detail});
  }

  void wait_for_signal() {
    signals_.async_wait([this](error_code error, int signal) {
      if (error) return;
      wait_for_signal();
      if (signal == SIGHUP) return reload();
      if (draining_) return abort(signal);
      exit_code_ = signal == SIGINT ? 130 : 0;
      drain();
    });
  }

  void reload() {
    try {
      Settings fresh = read_settings(options_.config);
      access_.reload();
      settings_ = std::move(fresh);
    } catch (const Error& error) {
      return log_warning("reload_failed", {{"message", error.what()}});
    }
    http_.set_limits(limits());
    apply_settings();
    log_event("reloaded", {{"config", options_.config.string()}, {"keys", options_.keys.string()}});
  }

  // The settings', as far as there are descriptors for them.
  HttpLimits limits() const {
    HttpLimits limits = settings_.limits;
    const std::size_t most = connections_within(descriptors_);
    if (limits.max_connections > most) {
      log_warning("few_descriptors",
                  {{"message", "limits.max_connections is " + std::to_string(limits.max_connections) + ", but " +
                                   std::to_string(most) + " connections are all that " + std::to_string(descriptors_) +
                                   " open files allow: raise the hard limit (ulimit -Hn; LimitNOFILE= of a unit) or "
                                   "lower limits.max_connections"}});
      limits.max_connections = most;
    }
    return limits;
  }

  void apply_settings() {
    state_.policy = settings_.policy;
    state_.heartbeat = settings_.heartbeat;
    state_.url_ttl = settings_.url_ttl;
    state_.short_side = settings_.short_side;
    state_.shows_partial_images = settings_.classifier.url.empty();
    fetcher_.set_rules(settings_.fetch);
    classifier_.set(settings_.classifier);
    if (jobs_) jobs_->set_limits(settings_.jobs);
    if (cache_) cache_->set_limits(settings_.cache);
  }

  void abort(int signal) {
    log_warning("aborted", {{"signal", signal}});
    exit_code_ = signal == SIGINT ? 130 : 143;
    io_.stop();
  }

  void drain() {
    log_event("draining", {{"connections", http_.connections()}});
    draining_ = true;
    if (jobs_) jobs_->stop_taking_up();
    board_.set({false, ever_ready_, "draining", "the service is stopping"});
    metrics_.set_ready(0);
    metrics_.set_draining(1);
    notifier_.stopping();
    if (!ever_ready_) return io_.stop();
    drain_timer_.expires_after(settings_.lame_duck);
    drain_timer_.async_wait([this](error_code) { stop_accepting(); });
  }

  void stop_accepting() {
    http_.drain(http_inherited_ ? HttpServer::Backlog::kLeave : HttpServer::Backlog::kServe);
    drain_timer_.expires_after(kDrainGrace);
    drain_timer_.async_wait([this](error_code) { end_grace(); });
    check_drained_soon();
  }

  // From here on nothing new is admitted; what was goes on until the deadline.
  void end_grace() {
    grace_over_ = true;
    state_.admits = false;
    state_.reason = "draining";
    state_.detail = "the service is stopping";
    drain_timer_.expires_after(settings_.drain_deadline);
    drain_timer_.async_wait([this](error_code stopped) {
      if (stopped) return;
      if (jobs_) jobs_->release();
      queue_.fail_all(HttpError(503, "draining", "the service stopped before this edit was done").retry_after(2));
      drain_timer_.expires_after(kFarewell);
      drain_timer_.async_wait([this](error_code) { io_.stop(); });
    });
    check_drained();
  }

  void check_drained_soon() {
    if (draining_) asio::post(io_, [this] { check_drained(); });
  }

  void check_drained() {
    if (drained_ || !draining_ || !ever_ready_) return;
    if (grace_over_) http_.close_idle();
    if (http_.connections() > 0 || !queue_.idle() || !classifier_.idle()) return;
    drained_ = true;
    retry_.cancel();
    if (!worker_.running()) return io_.stop();
    worker_.stop();
    drain_timer_.expires_after(kWorkerExit);
    drain_timer_.async_wait([this](error_code stopped) {
      if (!stopped) io_.stop();
    });
  }

  void beat() {
    board_.beat();
    heart_.expires_after(std::chrono::seconds(1));
    heart_.async_wait([this](error_code stopped) {
      if (!stopped) beat();
    });
  }

  const Options& options_;
  const std::size_t descriptors_ = raise_descriptor_limit();
  Settings settings_;
  HealthBoard board_;
  Metrics metrics_;
  Database database_;
  Access access_;
  const std::unique_ptr<AuditLog> audit_;
  const bool http_inherited_;
  const Notifier notifier_ = Notifier::from_environment();
  HealthServer health_;
  ServiceState state_;
  asio::io_context io_{1};
  asio::signal_set signals_{io_};
  asio::steady_timer retry_{io_}, drain_timer_{io_}, heart_{io_};
  WorkerProcess worker_;
  EditQueue queue_;
  Classifier classifier_{io_, metrics_, [this] { check_drained_soon(); }};
  const std::unique_ptr<ContentStore> contents_;
  const std::unique_ptr<Jobs> jobs_;
  const std::unique_ptr<EditCache> cache_;
  SharedEdits shared_;
  const std::unique_ptr<Upstream> upstream_;
  EditRouter router_;
  Idempotency idempotency_;
  PictureFetcher fetcher_{io_};
  Api api_;
  HttpServer http_;
  std::optional<Error> fatal_, failure_;
  std::chrono::milliseconds back_off_ = kFirstBackOff;
  int exit_code_ = 0, failed_starts_ = 0;
  bool ready_ = false, ever_ready_ = false, draining_ = false, grace_over_ = false, drained_ = false, hung_ = false;
};

void prepare_state(const std::filesystem::path& folder) {
  if (folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) error = {errno, std::generic_category()};
  if (error)
    throw Error(ErrorKind::kStorage, "cannot use the state folder '" + folder.string() + "': " + error.message());
}

}  // namespace

int serve(const Options& options) {
  prepare_state(options.state);
  std::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const Listeners listeners = open_listeners(options);
  const std::string line =
      nlohmann::ordered_json{{"event", "listening"}, {"url", listeners.http.url}, {"health_url", listeners.health.url}}
          .dump() +
      "\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  return Service(options, listeners).run();
}

}  // namespace holdall::runtime::service
