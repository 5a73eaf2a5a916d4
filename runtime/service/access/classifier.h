// A program of the operator's own that says what the content policy does not allow. It speaks OpenAI's moderations API:
//   asked:    {"input":[{"type":"text","text":…},{"type":"image_url","image_url":{"url":"data:image/png;base64,…"}},…]}
//   answered: {"results":[{"flagged":true|false,"category_scores":{"violence":0.98,…}}]}
// Where it cannot be asked, or answers something else, nothing passes.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/service/http/http_call.h"
#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {

class Metrics;

struct ClassifierSettings {
  std::string url;                  // that is posted to; empty: there is none
  std::string api_key;              // empty: none is sent
  std::optional<double> threshold;  // a score of as much is refused, whatever is flagged; none: what is flagged is
  std::chrono::seconds timeout{10};
};

// Whether any of the results is to be refused. Throws std::exception for what is no such answer; with a threshold, for
// results without scores.
bool is_flagged(const std::string& answer, std::optional<double> threshold);

class Classifier {
 public:
  // `io` and `metrics` outlive it. `checked`: called after each check has ended.
  Classifier(boost::asio::io_context& io, Metrics& metrics, std::function<void()> checked);
  ~Classifier();

  // From the next check on. `settings.url` was accepted by ServerAddress::parse().
  void set(const ClassifierSettings& settings);
  bool enabled() const;
  // Of what passes: another classifier or threshold may let other things pass. Empty where there is none.
  std::string identity() const;
  bool idle() const;  // nothing is being checked

  enum class Stage { kBefore, kAfter };  // the edit
  // Tells `done`, once and later, why it is refused, or that it passes: 400 content_policy_violation; 503
  // content_policy_unavailable, final() after the edit, which would be made again for nothing; 504 once `deadline` has
  // passed. `text` is UTF-8, or empty for none.
  using Done = std::function<void(std::optional<HttpError>)>;
  using Pictures = std::vector<std::span<const std::byte>>;  // encoded
  std::shared_ptr<HttpCall> check(Stage stage, const std::string& text, const Pictures& pictures,
                                  std::optional<Clock::time_point> deadline, Done done);

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
