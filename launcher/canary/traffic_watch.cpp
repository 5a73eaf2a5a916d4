#include "launcher/canary/traffic_watch.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {
namespace {

namespace http = boost::beast::http;
using Parser = http::response_parser<http::string_body>;

constexpr std::chrono::seconds kPatience{5};
constexpr std::uint64_t kLargestAnswer = std::uint64_t{8} << 20;
constexpr std::string_view kQuestion = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

}  // namespace

struct TrafficWatch::State {
  int listener = -1;
  Clock::time_point deadline;     // of the answer
  bundle::FileDescriptor socket;  // empty: no question is under way
  std::size_t sent = 0;
  std::string received;  // and not yet understood
  std::unique_ptr<Parser> parser;
  std::optional<RequestCounts> last;  // as the service said; absent: what it says first is where counting begins
  RequestCounts counts;
  std::string fault;

  void ask();
  void take();
  bool parse(bool at_end);
  void finish(const std::string& why);
  void add(const RequestCounts& now);
};

void TrafficWatch::State::ask() {
  deadline = Clock::now() + kPatience;
  sent = 0;
  received.clear();
  parser = std::make_unique<Parser>();
  parser->eager(true);
  parser->body_limit(kLargestAnswer);
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) return finish(std::strerror(errno));
  socket.reset(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return finish(std::strerror(errno));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno != EINPROGRESS)
    finish(std::strerror(errno));
}

void TrafficWatch::State::take() {
  while (sent < kQuestion.size()) {
    const ssize_t size = ::send(socket.get(), kQuestion.data() + sent, kQuestion.size() - sent, MSG_NOSIGNAL);
    if (size < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    if (size < 0 && errno != EINTR) return finish(std::strerror(errno));
    if (size > 0) sent += static_cast<std::size_t>(size);
  }
  std::array<char, 16 * 1024> buffer{};
  while (socket) {
    const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return finish(std::strerror(errno));
    received.append(buffer.data(), static_cast<std::size_t>(size));
    if (!parse(size == 0)) return;
  }
}

// False: nothing more is wanted.
bool TrafficWatch::State::parse(bool at_end) {
  boost::beast::error_code error;
  while (!received.empty() && !parser->is_done()) {
    const std::size_t taken = parser->put(boost::asio::buffer(received), error);
    received.erase(0, taken);
    if (error == http::error::need_more || taken == 0) break;
    if (error) break;
  }
  if (error == http::error::need_more) error = {};
  if (!error && at_end && !parser->is_done()) parser->put_eof(error);
  if (error) {
    finish(error.message());
    return false;
  }
  if (!parser->is_done()) {
    if (at_end) finish("the answer ends early");
    return !at_end;
  }
  const bool good = parser->get().result() == http::status::ok;
  if (good) add(count_requests(parser->get().body()));
  finish(good ? "" : "status " + std::to_string(parser->get().result_int()));
  return false;
}

void TrafficWatch::State::finish(const std::string& why) {
  socket.reset();
  fault = why;
}

void TrafficWatch::State::add(const RequestCounts& now) {
  if (last) {
    const bool anew = now.requests < last->requests || now.errors < last->errors;
    counts.requests += anew ? now.requests : now.requests - last->requests;
    counts.errors += anew ? now.errors : now.errors - last->errors;
  }
  last = now;
}

TrafficWatch::TrafficWatch(int listener, Service service) : state_(std::make_unique<State>()) {
  state_->listener = listener;
  if (service == Service::kNew) state_->last.emplace();
}

TrafficWatch::TrafficWatch(TrafficWatch&&) noexcept = default;
TrafficWatch& TrafficWatch::operator=(TrafficWatch&&) noexcept = default;
TrafficWatch::~TrafficWatch() = default;

void TrafficWatch::ask() {
  state_->ask();
}

bool TrafficWatch::is_asking() const {
  return static_cast<bool>(state_->socket);
}

void TrafficWatch::add_to(std::vector<pollfd>& polled) const {
  if (!is_asking()) return;
  const bool sending = state_->sent < kQuestion.size();
  polled.push_back({state_->socket.get(), static_cast<short>(sending ? POLLOUT : POLLIN), 0});
}

TrafficWatch::Clock::time_point TrafficWatch::deadline() const {
  return state_->deadline;
}

void TrafficWatch::go_on() {
  if (is_asking()) state_->take();
  if (is_asking() && Clock::now() >= state_->deadline) state_->finish("no answer in time");
}

const RequestCounts& TrafficWatch::counts() const {
  return state_->counts;
}

const std::string& TrafficWatch::fault() const {
  return state_->fault;
}

}  // namespace holdall::launcher
