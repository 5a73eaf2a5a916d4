#include "runtime/service/fetch/picture_fetcher.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

constexpr const char* kNotAllowed = "url_not_allowed";
constexpr const char* kNotFetched = "url_not_fetched";

struct Address {
  ServerAddress server;
  std::string target;  // path and question
};

// A host with its port, unless that is the usual one.
std::string name_of(const ServerAddress& server) {
  std::string name = server.host;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name.find(':') != name.npos) name = "[" + name + "]";
  const bool usual = server.port == "80" || server.port == "443";
  return usual ? name : name + ":" + server.port;
}

// Throws std::invalid_argument.
Address parse(const std::string& url) {
  if (!std::ranges::all_of(url, [](char c) { return c > ' ' && c <= '~'; }))
    throw std::invalid_argument("must be ASCII without spaces: encode the rest with %");
  const std::size_t end = std::min(url.find_first_of("/?#", url.find("://") + 3), url.size());
  Address address{ServerAddress::parse(url.substr(0, end)), url.substr(end, url.find('#', end) - end)};
  if (!address.target.starts_with('/')) address.target.insert(0, "/");
  return address;
}

const char* field_of(const PictureUrl& url) {
  return url.image ? "image" : "mask";
}

class Fetch final : public HttpCall, public std::enable_shared_from_this<Fetch> {
 public:
  Fetch(boost::asio::io_context& io, const AddressRule& may_connect, const FetchRules& rules,
        std::optional<Clock::time_point> deadline, EditForm form, PictureFetcher::Done done)
      : io_(io),
        may_connect_(may_connect),
        left_(rules.max_bytes),
        end_(Clock::now() + rules.timeout),
        cut_short_(deadline && *deadline < end_),
        form_(std::move(form)),
        done_(std::move(done)) {
    if (cut_short_) end_ = *deadline;
  }

  void next() {
    if (form_.urls.empty()) return std::exchange(done_, nullptr)(std::move(form_));
    const PictureUrl& url = form_.urls.back();
    const Address address = parse(url.url);
    host_ = name_of(address.server);
    HttpQuestion question{.target = address.target};
    question.headers.emplace_back("Accept", "image/png, image/jpeg, image/webp");
    question.timeout =
        std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()));
    question.largest_answer = left_;
    question.may_connect = may_connect_;
    call_ = start_http_call(io_, address.server, std::move(question),
                            [self = shared_from_this()](auto answer) { self->take(std::move(answer)); });
  }

  void cancel() override {
    done_ = nullptr;
    if (call_) std::exchange(call_, nullptr)->cancel();
  }

 private:
  void take(std::variant<HttpAnswer, HttpFailure> answer) {
    call_.reset();
    if (!done_) return;
    if (const auto* failure = std::get_if<HttpFailure>(&answer)) return refuse(*failure);
    auto& [status, body] = std::get<HttpAnswer>(answer);
    if (status >= 300 && status < 400)
      return refuse("it leads elsewhere (status " + std::to_string(status) + "): give the address where it leads");
    if (status != 200) return refuse("it answers with status " + std::to_string(status));
    if (body.empty()) return refuse("it answers with nothing");
    left_ -= body.size();
    const auto* begin = reinterpret_cast<const std::byte*>(body.data());
    const PictureUrl& url = form_.urls.back();
    (url.image ? form_.images.at(*url.image) : *form_.mask).assign(begin, begin + body.size());
    form_.urls.pop_back();
    next();
  }

  void refuse(const HttpFailure& failure) {
    if (failure.kind == HttpFailure::Kind::kTooLarge)
      return end(HttpError(413, "body_too_large", "the pictures to fetch have more bytes than limits.max_body_bytes",
                           field_of(form_.urls.back())));
    if (failure.kind == HttpFailure::Kind::kTimeout && cut_short_)
      return end(HttpError(504, "deadline_exceeded", "the edit was not done before X-Request-Timeout").final());
    if (failure.kind == HttpFailure::Kind::kAddressRefused)
      return end(bad_field(field_of(form_.urls.back()),
                           "'" + host_ + "' is not in the public internet: send a data URL", kNotAllowed));
    refuse(failure.message);
  }

  void refuse(const std::string& why) {
    log_warning("picture_not_fetched", {{"host", host_}, {"message", why}});
    end(bad_field(field_of(form_.urls.back()), "cannot fetch a picture from '" + host_ + "': " + why, kNotFetched));
  }

  void end(HttpError error) { std::exchange(done_, nullptr)(std::move(error)); }

  boost::asio::io_context& io_;
  const AddressRule may_connect_;
  std::uint64_t left_;  // bytes
  Clock::time_point end_;
  const bool cut_short_;  // by the request's own deadline
  EditForm form_;
  PictureFetcher::Done done_;
  std::string host_;  // of the one that is being fetched
  std::shared_ptr<HttpCall> call_;
};

}  // namespace

void PictureFetcher::check(const EditForm& form) const {
  for (const PictureUrl& url : form.urls) {
    const char* const field = field_of(url);
    if (rules_.hosts.empty())
      throw bad_field(field, "a picture in JSON must be a data URL: this server fetches none from elsewhere",
                      kNotAllowed);
    std::string host;
    try {
      host = name_of(parse(url.url).server);
    } catch (const std::invalid_argument& error) {
      throw bad_field(field, std::string("the address of a picture ") + error.what());
    }
    if (std::ranges::find(rules_.hosts, host) == rules_.hosts.end())
      throw bad_field(field, "this server does not fetch from '" + host + "': send a data URL", kNotAllowed);
  }
}

std::shared_ptr<HttpCall> PictureFetcher::fetch(EditForm form, std::optional<Clock::time_point> deadline,
                                                Done done) const {
  check(form);
  auto fetch = std::make_shared<Fetch>(io_, may_connect_, rules_, deadline, std::move(form), std::move(done));
  fetch->next();
  return fetch;
}

std::string fetch_host(const std::string& entry) {
  if (entry.find('/') != entry.npos) throw std::invalid_argument("must be a host, or a host and its port");
  return name_of(ServerAddress::parse("https://" + entry));
}

}  // namespace holdall::runtime::service
