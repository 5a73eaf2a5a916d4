// One HTTP/1.1 request to another server: Boost.Beast, TLS by OpenSSL. A connection of its own, closed afterwards.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/service/http/http.h"

namespace boost::asio {
class io_context;
}

namespace holdall::runtime::service {

struct ServerAddress {
  bool tls = false;
  std::string host, port;
  std::string base;  // path, without a slash at its end

  // "http://host:8080/v1". Throws std::invalid_argument saying what is wrong.
  static ServerAddress parse(const std::string& url);
};

// Whether to connect to a host whose name has all of these addresses, as inet_ntop() writes them.
using AddressRule = std::function<bool(const std::vector<std::string>&)>;

struct HttpQuestion {
  std::string method = "GET", target = "/";
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::chrono::milliseconds timeout{10'000};  // from the first step to the last byte
  std::size_t largest_answer = 1 << 20;       // bytes of its body
  AddressRule may_connect{};                  // empty: to any. What it was asked about is what is connected to
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

struct HttpFailure {
  enum class Kind { kTimeout, kTooLarge, kAddressRefused, kOther };
  Kind kind = Kind::kOther;
  std::string message{};
};

// What came, or why nothing did.
using HttpAnswered = std::function<void(std::variant<HttpAnswer, HttpFailure>)>;

class HttpCall {
 public:
  virtual ~HttpCall() = default;
  virtual void cancel() = 0;  // `done` is not called any more
};

// `done` is called once, on `io`'s thread and never before this returns. The call lives until then.
std::shared_ptr<HttpCall> start_http_call(boost::asio::io_context& io, const ServerAddress& server,
                                          HttpQuestion question, HttpAnswered done);

}  // namespace holdall::runtime::service
