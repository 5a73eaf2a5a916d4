#include "runtime/service/upstream/upstream.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "runtime/error.h"
#include "runtime/service/log.h"
#include "runtime/service/metrics.h"
#include "runtime/service/upstream/upstream_form.h"

namespace holdall::runtime::service {
namespace {

constexpr std::size_t kLargestAnswer = std::size_t{512} << 20;  // ten pictures of 16 megapixels, in base64
constexpr std::chrono::seconds kProbeTimeout{5};

// What is wrong with the request itself, and would be anywhere.
const std::set<int> kClientsFault = {400, 413, 415, 422};
constexpr int kTooMany = 429;  // it is well, and has no room

ServerAddress address_in(const std::string& url) try {
  return ServerAddress::parse(url);
} catch (const std::invalid_argument& error) {
  throw Error(ErrorKind::kBadRequest, "upstream.url '" + url + "' " + error.what());
}

}  // namespace

class Upstream::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, Metrics& metrics, const UpstreamSettings& settings)
      : io_(io),
        metrics_(metrics),
        settings_(settings),
        server_(address_in(settings.url)),
        name_(server_.host + ":" + server_.port),
        key_(settings.api_key),
        breaker_(settings.breaker),
        timer_(io) {}

  void start() {
    show();
    if (settings_.probe_interval.count() > 0) probe();
  }

  std::shared_ptr<HttpCall> edit(const EditForm& form, const EditRequest& request,
                                 std::optional<Clock::time_point> deadline, Done done) {
    const auto now = Clock::now();
    if (!breaker_.try_pass(now)) return nullptr;
    HttpQuestion question = question_of(form, request.task, settings_.model);
    question.largest_answer = kLargestAnswer;
    question.timeout = settings_.timeout;
    if (deadline)
      question.timeout = std::min(question.timeout, std::chrono::ceil<std::chrono::milliseconds>(*deadline - now));
    const bool cut_short = question.timeout < settings_.timeout;
    return guarded(start_http_call(
        io_, server_, with_key(std::move(question)),
        [self = shared_from_this(), request, cut_short, deadline, done = std::move(done)](auto answer) {
          if (cut_short && Clock::now() >= *deadline) {
            self->breaker_.given_up();
            return done(HttpError(504, "deadline_exceeded", "the time that X-Request-Timeout gives is over").final());
          }
          done(self->judge(std::move(answer), request));
        }));
  }

  void stop() { timer_.cancel(); }

  const std::string& name() const { return name_; }
  bool is_primary() const { return settings_.mode == UpstreamSettings::Mode::kPrimary; }
  bool can_serve() const { return breaker_.would_pass(Clock::now()); }

 private:
  // A call that is cancelled says nothing of the server.
  class Guarded final : public HttpCall {
   public:
    Guarded(std::shared_ptr<Impl> owner, std::shared_ptr<HttpCall> call)
        : owner_(std::move(owner)), call_(std::move(call)) {}
    void cancel() override {
      call_->cancel();
      owner_->breaker_.given_up();
    }

   private:
    const std::shared_ptr<Impl> owner_;
    const std::shared_ptr<HttpCall> call_;
  };

  std::shared_ptr<HttpCall> guarded(std::shared_ptr<HttpCall> call) {
    return std::make_shared<Guarded>(shared_from_this(), std::move(call));
  }

  HttpQuestion with_key(HttpQuestion question) const {
    if (!key_.empty()) question.headers.emplace_back("Authorization", "Bearer " + key_);
    return question;
  }

  std::optional<EditOutcome> judge(std::variant<HttpAnswer, HttpFailure> answer, const EditRequest& asked) {
    const auto* const got = std::get_if<HttpAnswer>(&answer);
    std::string failure = got ? "status " + std::to_string(got->status) : std::get<HttpFailure>(answer).message;
    if (got && got->status == 200) try {
        EditResult result = result_of(got->body, asked);
        result.served_by = name_;
        succeeded();
        return result;
      } catch (const std::exception& error) {
        failure = std::string("its answer holds no pictures: ") + error.what();
      }
    if (got && kClientsFault.contains(got->status)) {
      succeeded();
      return error_of(*got, name_).with("x-served-by", "upstream:" + name_);
    }
    log_warning("upstream_failed", {{"upstream", name_}, {"message", failure}});
    if (got && got->status == kTooMany)
      succeeded();
    else
      failed();
    return std::nullopt;
  }

  void succeeded() {
    breaker_.succeeded();
    up_ = true;
    show();
  }

  void failed() {
    breaker_.failed(Clock::now());
    up_ = false;
    show();
  }

  void show() {
    const auto state = breaker_.state(Clock::now());
    metrics_.set_dependency_up("upstream", up_);
    metrics_.set_breaker_state("upstream", static_cast<int>(state));
    if (state != std::exchange(shown_, state))
      log_event("upstream_breaker", {{"upstream", name_},
                                     {"state", state == Breaker::State::kClosed ? "closed"
                                               : state == Breaker::State::kOpen ? "open"
                                                                                : "half_open"}});
  }

  void probe() {
    start_http_call(io_, server_, with_key({.target = "/models", .timeout = kProbeTimeout}),
                    [weak = weak_from_this()](auto answer) {
                      const auto self = weak.lock();
                      if (!self) return;
                      const auto* const got = std::get_if<HttpAnswer>(&answer);
                      if (got && got->status < 500 && got->status != 401 && got->status != 403) {
                        self->up_ = true;
                        self->show();
                      } else {
                        self->failed();
                      }
                      self->probe_later();
                    });
  }

  void probe_later() {
    timer_.expires_after(settings_.probe_interval);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code stopped) {
      const auto self = weak.lock();
      if (self && !stopped) self->probe();
    });
  }

  boost::asio::io_context& io_;
  Metrics& metrics_;
  const UpstreamSettings settings_;
  const ServerAddress server_;
  const std::string name_, key_;
  Breaker breaker_;
  Breaker::State shown_ = Breaker::State::kClosed;
  bool up_ = true;
  boost::asio::steady_timer timer_;
};

Upstream::Upstream(boost::asio::io_context& io, Metrics& metrics, const UpstreamSettings& settings)
    : impl_(std::make_shared<Impl>(io, metrics, settings)) {
  impl_->start();
}
Upstream::~Upstream() = default;

bool Upstream::is_primary() const noexcept {
  return impl_->is_primary();
}
const std::string& Upstream::name() const noexcept {
  return impl_->name();
}
bool Upstream::can_serve() const {
  return impl_->can_serve();
}
std::shared_ptr<HttpCall> Upstream::edit(const EditForm& form, const EditRequest& request,
                                         std::optional<Clock::time_point> deadline, Done done) {
  return impl_->edit(form, request, deadline, std::move(done));
}
void Upstream::stop() {
  impl_->stop();
}

}  // namespace holdall::runtime::service
