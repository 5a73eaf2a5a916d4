#include "runtime/service/http/session.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <ctime>
#include <deque>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/service/digest.h"
#include "runtime/service/http/http_error.h"
#include "runtime/service/http/request_head.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr std::size_t kChunk = 64 << 10;
constexpr std::size_t kMaxPipelined = 64 << 10;  // read ahead while a request is handled
constexpr std::chrono::seconds kLinger{5};       // for the client to read a reply that came before its body's end
constexpr std::size_t kMaxUnsent = 64 << 20;     // of a streamed body
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

bool is_http(const error_code& error) {
  return error.category() == http::make_error_code(http::error::end_of_stream).category();
}

HttpError parse_failure(const error_code& error, const HttpLimits& limits) {
  if (error == http::error::body_limit)
    return {413, "body_too_large", "the body is larger than " + std::to_string(limits.max_body_bytes) + " bytes"};
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return {431, "header_too_large", "the header is larger than " + std::to_string(limits.max_header_bytes) + " bytes"};
  return {400, "bad_request", "cannot read the request: " + error.message()};
}

class HttpSession final : public Session, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(asio::ip::tcp::socket socket, std::shared_ptr<SessionHost> host)
      : socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        ticker_(socket_.get_executor()),
        host_(std::move(host)),
        buffer_(host_->limits.max_header_bytes + kChunk + kMaxPipelined) {}

  ~HttpSession() override { leave(); }

  void start() override {
    host_->sessions.insert(this);
    host_->changed();
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);  // for read_some() below; asynchronous calls do not care
    read_request();
  }

  void close_if_idle() override {
    if (phase_ == Phase::kIdle || phase_ == Phase::kLingering) close();
  }

  void reply(HttpReply reply);
  void begin(const HttpReply& head);
  void send(std::string piece);
  void end();
  void on_gone(std::function<void()> gone) { gone_ = std::move(gone); }
  void every(std::chrono::seconds interval, std::function<void()> tick);

 private:
  enum class Phase { kIdle, kHeader, kBody, kHandling, kStreaming, kWriting, kLingering, kClosed };

  void arm(std::chrono::seconds total);
  void on_deadline();
  void read_request();
  void read_header();
  void on_header(error_code error);
  void build_request();
  void check_framing() const;
  void read_body();
  void on_body(error_code error);
  void handle();
  void watch();
  void on_readable();
  void client_gone();
  void make_head(const HttpReply& reply);
  void put(std::string bytes);
  void write_next();
  void on_piece_written(error_code error, std::size_t bytes);
  void tick_after(std::chrono::seconds interval);
  void next_request();
  void done_with_handler();
  void refuse(const HttpError& error);
  void on_written(error_code error, std::size_t bytes);
  void linger();
  void close();
  void leave();
  void log_end(int status, std::uint64_t bytes_out);

  // Runs a part of the handler; false: it has refused, and the refusal is on its way.
  template <class Part>
  bool guarded(Part part);

  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_, ticker_;
  std::shared_ptr<SessionHost> host_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::buffer_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  HttpRequest request_;
  std::unique_ptr<RequestHandler> handler_;
  std::unique_ptr<char[]> chunk_;  // only while a body is read
  std::function<void()> gone_, tick_;
  std::deque<std::string> unsent_;  // of a streamed reply; the first one is being written
  std::size_t unsent_bytes_ = 0;
  std::uint64_t streamed_bytes_ = 0;
  std::uint64_t bytes_in_ = 0;
  Phase phase_ = Phase::kIdle;
  bool must_close_ = false, timed_out_ = false, watching_ = false, chunked_ = false, ended_ = false;
};

class SessionExchange final : public Exchange {
 public:
  explicit SessionExchange(std::shared_ptr<HttpSession> session) : session_(std::move(session)) {}
  void reply(HttpReply reply) override {
    if (const auto session = std::exchange(session_, nullptr)) session->reply(std::move(reply));
  }
  void begin(const HttpReply& head) override {
    if (session_) session_->begin(head);
  }
  void send(std::string piece) override {
    if (session_) session_->send(std::move(piece));
  }
  void end() override {
    if (const auto session = std::exchange(session_, nullptr)) session->end();
  }
  void on_gone(std::function<void()> gone) override {
    if (session_) session_->on_gone(std::move(gone));
  }
  void every(std::chrono::seconds interval, std::function<void()> tick) override {
    if (session_) session_->every(interval, std::move(tick));
  }

 private:
  std::shared_ptr<HttpSession> session_;
};

void HttpSession::arm(std::chrono::seconds total) {
  timer_.expires_after(total);
  timer_.async_wait([self = weak_from_this()](error_code error) {
    const auto session = self.lock();
    if (!error && session && session->timer_.expiry() <= Clock::now()) session->on_deadline();
  });
}

void HttpSession::on_deadline() {
  if (phase_ == Phase::kStreaming) return client_gone();
  if (phase_ != Phase::kBody) return close();
  timed_out_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

void HttpSession::read_request() {
  parser_.emplace();
  parser_->header_limit(host_->limits.max_header_bytes);
  parser_->body_limit(host_->limits.max_body_bytes);
  request_ = {};
  handler_.reset();
  bytes_in_ = streamed_bytes_ = 0;
  unsent_.clear();
  unsent_bytes_ = 0;
  ended_ = false;
  if (buffer_.size() > 0) return read_header();
  phase_ = Phase::kIdle;
  arm(host_->limits.idle_timeout);
  socket_.async_wait(socket_.wait_read, [self = shared_from_this()](error_code error) {
    if (self->phase_ != Phase::kIdle) return;
    if (error) return self->close();
    self->read_header();
  });
}

void HttpSession::read_header() {
  phase_ = Phase::kHeader;
  arm(host_->limits.header_timeout);
  http::async_read_header(socket_, buffer_, *parser_,
                          [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
}

void HttpSession::on_header(error_code error) {
  if (phase_ == Phase::kClosed) return;
  request_.arrival = Clock::now();
  request_.id = "req_" + random_hex(12);
  if (error && (!is_http(error) || error == http::error::end_of_stream || error == http::error::partial_message))
    return close();
  if (error) return refuse(parse_failure(error, host_->limits));
  if (!guarded([&] { build_request(); })) return;
  phase_ = Phase::kBody;
  if (!guarded([&] { handler_ = host_->site.open(request_); })) return;
  arm(host_->limits.body_timeout);
  const std::string* expect = request_.header("expect");
  if (!expect || !request_.has_body) return read_body();
  if (!beast::iequals(*expect, "100-continue"))
    return refuse({417, "expectation_failed", "cannot meet the expectation '" + *expect + "'"});
  asio::async_write(socket_, asio::buffer(kContinue), [self = shared_from_this()](error_code failed, std::size_t) {
    if (failed) return self->close();
    self->read_body();
  });
}

void HttpSession::build_request() {
  const auto& head = parser_->get();
  request_.method = std::string(head.method_string());
  for (const auto& field : head) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string& value = request_.headers[name];
    value += (value.empty() ? "" : ", ") + std::string(field.value());
  }
  if (const auto* id = request_.header("x-request-id"); id && is_plain_token(*id)) request_.id = *id;
  const auto target = parse_target({head.target().data(), head.target().size()});
  if (!target) throw HttpError(400, "bad_target", "cannot read the request's target: it must be a path");
  request_.path = target->path;
  request_.query = target->query;
  if (const auto length = parser_->content_length()) request_.content_length = *length;
  request_.has_body = parser_->chunked() || request_.content_length.value_or(0) > 0;
  check_framing();
}

// What RFC 9112 wants refused so that no proxy before us can disagree about where a request ends.
void HttpSession::check_framing() const {
  const auto& head = parser_->get();
  const auto refuse_if = [](bool wrong, const char* cause) {
    if (wrong) throw HttpError(400, "bad_request", std::string("cannot read the request: ") + cause);
  };
  refuse_if(head.count(http::field::host) > 1 || (head.version() >= 11 && head.count(http::field::host) == 0),
            "it must have one Host header");
  refuse_if(head.count(http::field::content_length) > 1, "it has more than one Content-Length");
  const bool encoded = head.count(http::field::transfer_encoding) > 0;
  refuse_if(encoded && head.count(http::field::content_length) > 0, "it has Content-Length and Transfer-Encoding");
  refuse_if(encoded && (!beast::iequals(*request_.header("transfer-encoding"), "chunked") || head.version() < 11),
            "its Transfer-Encoding is not 'chunked'");
}

void HttpSession::read_body() {
  if (phase_ != Phase::kBody) return;
  if (parser_->is_done()) return handle();
  if (!chunk_) chunk_ = std::make_unique<char[]>(kChunk);
  parser_->get().body().data = chunk_.get();
  parser_->get().body().size = kChunk;
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](error_code error, std::size_t) { self->on_body(error); });
}

void HttpSession::on_body(error_code error) {
  if (phase_ != Phase::kBody) return;
  if (timed_out_)
    return refuse(
        {408, "body_timeout",
         "the body did not arrive within " + std::to_string(host_->limits.body_timeout.count()) + " seconds"});
  if (error == http::error::need_buffer) error = {};
  if (error && (!is_http(error) || error == http::error::end_of_stream || error == http::error::partial_message)) {
    log_end(499, 0);
    return close();
  }
  if (error) return refuse(parse_failure(error, host_->limits));
  const std::size_t size = kChunk - parser_->get().body().size;
  bytes_in_ += size;
  if (size > 0 && !guarded([&] { handler_->body({chunk_.get(), size}); })) return;
  read_body();
}

void HttpSession::handle() {
  phase_ = Phase::kHandling;
  chunk_.reset();
  timer_.cancel();
  guarded([&] { handler_->finish(std::make_shared<SessionExchange>(shared_from_this())); });
  if (phase_ == Phase::kHandling || phase_ == Phase::kStreaming) watch();
}

// Notices a client that leaves while its request is handled, and takes in what it pipelines meanwhile.
void HttpSession::watch() {
  watching_ = true;
  socket_.async_wait(socket_.wait_read, [self = shared_from_this()](error_code error) {
    self->watching_ = false;
    if (!error && (self->phase_ == Phase::kHandling || self->phase_ == Phase::kStreaming)) self->on_readable();
  });
}

void HttpSession::on_readable() {
  error_code error;
  const std::size_t size = socket_.read_some(buffer_.prepare(4096), error);
  if (error == asio::error::would_block) return watch();
  if (error) return client_gone();
  buffer_.commit(size);
  if (buffer_.size() < kMaxPipelined) watch();
}

void HttpSession::client_gone() {
  log_end(499, streamed_bytes_);
  const auto gone = std::exchange(gone_, nullptr);
  tick_ = nullptr;
  close();
  if (gone) gone();
}

template <class Part>
bool HttpSession::guarded(Part part) {
  try {
    part();
    return true;
  } catch (const HttpError& error) {
    refuse(error);
  } catch (const std::exception& error) {
    log_warning("internal_error", {{"id", request_.id}, {"message", error.what()}});
    refuse({500, "internal_error", "the service failed to handle this request"});
  }
  return false;
}

void HttpSession::refuse(const HttpError& error) {
  if (phase_ < Phase::kBody || !parser_->is_done()) must_close_ = true;  // the rest of the request is not read
  reply(error.reply());
}

void HttpSession::reply(HttpReply reply) {
  if (phase_ >= Phase::kStreaming) return;
  phase_ = Phase::kWriting;
  done_with_handler();
  make_head(reply);
  response_->content_length(reply.body.size());
  if (request_.method != "HEAD") response_->body() = std::move(reply.body);
  arm(host_->limits.write_timeout);
  http::async_write(socket_, *response_, [self = shared_from_this()](error_code error, std::size_t bytes) {
    self->on_written(error, bytes);
  });
}

void HttpSession::make_head(const HttpReply& reply) {
  const auto& head = parser_->get();
  response_.emplace(http::int_to_status(static_cast<unsigned>(reply.status)), head.version() == 10 ? 10 : 11);
  response_->set(http::field::date, http_date());
  response_->set(http::field::content_type, reply.content_type);
  response_->set("x-request-id", request_.id);
  for (const auto& headers : {request_.reply_headers, reply.headers})
    for (const auto& [name, value] : headers) response_->set(name, value);
  response_->keep_alive(!must_close_ && !host_->draining && parser_->is_header_done() && head.keep_alive());
}

void HttpSession::on_written(error_code error, std::size_t bytes) {
  log_end(error ? 499 : static_cast<int>(response_->result_int()), bytes);
  if (error || phase_ == Phase::kClosed) return close();
  next_request();
}

void HttpSession::next_request() {
  const bool keep_alive = response_->keep_alive();
  response_.reset();
  if (!keep_alive) return linger();
  read_request();
}

// HTTP/1.0 has no chunks: there the end of the connection is the end of the body.
void HttpSession::begin(const HttpReply& reply) {
  if (phase_ != Phase::kHandling) return;
  phase_ = Phase::kStreaming;
  chunked_ = parser_->get().version() >= 11;
  must_close_ = must_close_ || !chunked_;
  make_head(reply);
  response_->chunked(chunked_);
  std::ostringstream head;
  head << response_->base();
  put(head.str());
}

void HttpSession::send(std::string piece) {
  if (phase_ != Phase::kStreaming || piece.empty()) return;
  if (!chunked_) return put(std::move(piece));
  std::ostringstream size;
  size << std::hex << piece.size() << "\r\n";
  put(size.str() + piece + "\r\n");
}

void HttpSession::end() {
  if (phase_ != Phase::kStreaming) return;
  ended_ = true;
  ticker_.cancel();
  put(chunked_ ? "0\r\n\r\n" : "");
}

void HttpSession::put(std::string bytes) {
  unsent_bytes_ += bytes.size();
  unsent_.push_back(std::move(bytes));
  if (unsent_.size() == 1) {
    arm(host_->limits.write_timeout);  // until nothing waits: a total, however many pieces that are
    return write_next();
  }
  if (unsent_bytes_ - unsent_.front().size() > kMaxUnsent) client_gone();
}

void HttpSession::write_next() {
  asio::async_write(
      socket_, asio::buffer(unsent_.front()),
      [self = shared_from_this()](error_code error, std::size_t bytes) { self->on_piece_written(error, bytes); });
}

void HttpSession::on_piece_written(error_code error, std::size_t bytes) {
  if (phase_ != Phase::kStreaming) return;
  streamed_bytes_ += bytes;
  if (error) return client_gone();
  unsent_bytes_ -= bytes;
  unsent_.pop_front();
  if (!unsent_.empty()) return write_next();
  timer_.cancel();
  if (!ended_) return;
  phase_ = Phase::kWriting;
  done_with_handler();
  log_end(static_cast<int>(response_->result_int()), streamed_bytes_);
  next_request();
}

void HttpSession::done_with_handler() {
  gone_ = nullptr;
  tick_ = nullptr;
  ticker_.cancel();
  error_code ignored;
  if (watching_) socket_.cancel(ignored);
}

void HttpSession::every(std::chrono::seconds interval, std::function<void()> tick) {
  tick_ = std::move(tick);
  tick_after(interval);
}

void HttpSession::tick_after(std::chrono::seconds interval) {
  ticker_.expires_after(interval);
  ticker_.async_wait([weak = weak_from_this(), interval](error_code error) {
    const auto self = weak.lock();
    if (error || !self || !self->tick_) return;
    self->tick_after(interval);
    const auto tick = self->tick_;  // may replace itself
    tick();
  });
}

// A socket that is closed with unread bytes sends a reset, which can overtake the reply.
void HttpSession::linger() {
  if (phase_ != Phase::kLingering) {
    phase_ = Phase::kLingering;
    error_code ignored;
    socket_.shutdown(socket_.shutdown_send, ignored);
    if (!chunk_) chunk_ = std::make_unique<char[]>(kChunk);
    arm(kLinger);
  }
  socket_.async_read_some(asio::buffer(chunk_.get(), kChunk),
                          [self = shared_from_this()](error_code error, std::size_t) {
                            if (error) return self->close();
                            self->linger();
                          });
}

void HttpSession::close() {
  phase_ = Phase::kClosed;
  timer_.cancel();
  ticker_.cancel();
  error_code ignored;
  socket_.close(ignored);
  leave();
}

void HttpSession::leave() {
  if (host_->sessions.erase(this) > 0) host_->changed();
}

void HttpSession::log_end(int status, std::uint64_t bytes_out) {
  host_->site.closed(request_, {status, bytes_in_, bytes_out, Clock::now() - request_.arrival});
}

}  // namespace

std::shared_ptr<Session> make_session(asio::ip::tcp::socket socket, std::shared_ptr<SessionHost> host) {
  return std::make_shared<HttpSession>(std::move(socket), std::move(host));
}

}  // namespace holdall::runtime::service
