// HTTP as the rest of the service sees it: no library's types, so that only session.cpp pays for compiling Beast.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdall::runtime::service {

using Clock = std::chrono::steady_clock;

struct HttpRequest {
  std::string id;                              // x-request-id: the client's if it is a plain token, else ours
  std::string method, path, query;             // path: percent-decoded
  std::map<std::string, std::string> headers;  // lower-case names; repeated ones joined with ", "
  Clock::time_point arrival;                   // when its header was complete
  std::optional<std::uint64_t> content_length;
  bool has_body = false;
  // The site's: headers for whatever is replied, and what it wants to know again when the request is closed.
  std::vector<std::pair<std::string, std::string>> reply_headers;
  std::map<std::string, std::string> notes;

  const std::string* header(const std::string& lower_case_name) const {
    const auto it = headers.find(lower_case_name);
    return it == headers.end() ? nullptr : &it->second;
  }
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// What a handler answers through; lives until the reply is written or the client is gone.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Once, on the server's thread. Nothing happens if the client is gone.
  virtual void reply(HttpReply reply) = 0;
  // Instead of reply(): status and headers, once; then the body in pieces; then end(), once. A client that does not
  // catch up within the write timeout, or has too much to take, is gone.
  virtual void begin(const HttpReply& head) = 0;
  virtual void send(std::string piece) = 0;
  virtual void end() = 0;
  // `gone` is called at most once, if the client leaves before reply() or end().
  virtual void on_gone(std::function<void()> gone) = 0;
  // `tick` is called each `interval` until reply(), end() or the client is gone.
  virtual void every(std::chrono::seconds interval, std::function<void()> tick) = 0;
};

// Takes one request: its body in pieces, then the question. Any call may throw HttpError, which becomes the reply.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void body(std::string_view bytes) = 0;
  virtual void finish(std::shared_ptr<Exchange> exchange) = 0;
};

// How a request ended; status 499: the client was gone before the reply.
struct AccessRecord {
  int status = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  Clock::duration duration{};
};

// All that a server needs to know of what it serves. Called on the server's thread only.
class Site {
 public:
  virtual ~Site() = default;
  // Throws HttpError to refuse before the body is read. The request outlives the handler.
  virtual std::unique_ptr<RequestHandler> open(HttpRequest& request) = 0;
  virtual void closed(const HttpRequest& request, const AccessRecord& record) = 0;
};

}  // namespace holdall::runtime::service
