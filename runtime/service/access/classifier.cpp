#include "runtime/service/access/classifier.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "runtime/service/http/base64.h"
#include "runtime/service/log.h"
#include "runtime/service/metrics.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

constexpr const char* kDependency = "classifier";

const char* name_of(Classifier::Stage stage) {
  return stage == Classifier::Stage::kBefore ? "before" : "after";
}

// By its first bytes; what is no picture is sent all the same, and refused by who decodes it.
const char* type_of(std::span<const std::byte> picture) {
  const std::string_view bytes(reinterpret_cast<const char*>(picture.data()), picture.size());
  if (bytes.starts_with("\xff\xd8")) return "image/jpeg";
  if (bytes.starts_with("RIFF")) return "image/webp";
  return "image/png";
}

// Written by hand: a JSON value would hold each picture twice more.
std::string body_of(const std::string& text, const Classifier::Pictures& pictures) {
  std::string body = "{\"input\":[";
  if (!text.empty()) body += json{{"type", "text"}, {"text", text}}.dump() + ",";
  for (const auto picture : pictures) {
    body += std::string("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:") + type_of(picture) + ";base64,";
    append_base64(body, picture);
    body += "\"}},";
  }
  body.back() = ']';
  return body + "}";
}

HttpError unavailable(Classifier::Stage stage) {
  HttpError error(503, "content_policy_unavailable",
                  "this server's content policy cannot be checked now, and nothing goes unchecked: try again later");
  return stage == Classifier::Stage::kBefore ? std::move(error).retry_after(5) : std::move(error).final();
}

}  // namespace

bool is_flagged(const std::string& answer, std::optional<double> threshold) {
  const json body = json::parse(answer);
  const json& results = body.at("results");
  if (!results.is_array() || results.empty()) throw std::runtime_error("it has no results");
  bool flagged = false;  // each result is looked at: one that is no answer is none beside a flagged one, either
  for (const json& result : results) {
    if (!threshold) {
      flagged |= result.at("flagged").get<bool>();
      continue;
    }
    const json& scores = result.at("category_scores");
    if (!scores.is_object() || scores.empty()) throw std::runtime_error("it has no scores to hold against a threshold");
    for (const auto& [category, score] : scores.items()) flagged |= score.get<double>() >= *threshold;
  }
  return flagged;
}

class Classifier::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, Metrics& metrics, std::function<void()> checked)
      : io_(io), metrics_(metrics), checked_(std::move(checked)) {}

  void set(const ClassifierSettings& settings) {
    settings_ = settings;
    if (enabled()) server_ = ServerAddress::parse(settings.url);
  }
  bool enabled() const { return !settings_.url.empty(); }
  std::string identity() const {
    return settings_.url + (settings_.threshold ? " " + std::to_string(*settings_.threshold) : "");
  }
  bool idle() const { return running_ == 0; }

  std::shared_ptr<HttpCall> check(Stage stage, std::string body, std::optional<Clock::time_point> deadline, Done done) {
    const auto now = Clock::now();
    HttpQuestion question{.method = "POST", .target = server_.base.empty() ? "/" : ""};
    question.headers.emplace_back("Content-Type", "application/json");
    if (!settings_.api_key.empty()) question.headers.emplace_back("Authorization", "Bearer " + settings_.api_key);
    question.body = std::move(body);
    question.timeout = settings_.timeout;
    const bool cut_short = deadline && *deadline - now < question.timeout;
    if (cut_short)
      question.timeout =
          std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(*deadline - now));
    ++running_;
    const std::shared_ptr<void> running(nullptr, [self = shared_from_this()](void*) { self->ended(); });
    return start_http_call(
        io_, server_, std::move(question),
        [self = shared_from_this(), stage, cut_short, threshold = settings_.threshold, done = std::move(done),
         running](auto answer) { done(self->judge(stage, answer, threshold, cut_short)); });
  }
  void stop_telling() { checked_ = nullptr; }

 private:
  std::optional<HttpError> judge(Stage stage, const std::variant<HttpAnswer, HttpFailure>& answer,
                                 std::optional<double> threshold, bool cut_short) {
    std::string failure;
    if (const auto* none = std::get_if<HttpFailure>(&answer)) {
      if (cut_short && none->kind == HttpFailure::Kind::kTimeout)
        return HttpError(504, "deadline_exceeded", "the edit was not done before X-Request-Timeout").final();
      failure = none->message;
    } else if (const auto& got = std::get<HttpAnswer>(answer); got.status != 200) {
      failure = "status " + std::to_string(got.status);
    } else {
      try {
        const bool flagged = is_flagged(got.body, threshold);
        metrics_.set_dependency_up(kDependency, true);
        metrics_.policy_checked(name_of(stage), flagged ? "refused" : "passed");
        if (!flagged) return std::nullopt;
        return HttpError(400, "content_policy_violation",
                         stage == Stage::kBefore
                             ? "the prompt or a picture is what this server's content policy does not allow"
                             : "the result is what this server's content policy does not allow");
      } catch (const std::exception& error) {
        failure = std::string("no answer of a classifier: ") + error.what();
      }
    }
    log_warning("classifier_failed", {{"url", settings_.url}, {"stage", name_of(stage)}, {"message", failure}});
    metrics_.set_dependency_up(kDependency, false);
    metrics_.policy_checked(name_of(stage), "failed");
    return unavailable(stage);
  }

  // A call that was answered, or cancelled.
  void ended() {
    --running_;
    if (checked_) checked_();
  }

  boost::asio::io_context& io_;
  Metrics& metrics_;
  std::function<void()> checked_;
  ClassifierSettings settings_;
  ServerAddress server_;
  int running_ = 0;
};

Classifier::Classifier(boost::asio::io_context& io, Metrics& metrics, std::function<void()> checked)
    : impl_(std::make_shared<Impl>(io, metrics, std::move(checked))) {}
Classifier::~Classifier() {
  impl_->stop_telling();
}

void Classifier::set(const ClassifierSettings& settings) {
  impl_->set(settings);
}
bool Classifier::enabled() const {
  return impl_->enabled();
}
std::string Classifier::identity() const {
  return impl_->identity();
}
bool Classifier::idle() const {
  return impl_->idle();
}
std::shared_ptr<HttpCall> Classifier::check(Stage stage, const std::string& text, const Pictures& pictures,
                                            std::optional<Clock::time_point> deadline, Done done) {
  return impl_->check(stage, body_of(text, pictures), deadline, std::move(done));
}

}  // namespace holdall::runtime::service
