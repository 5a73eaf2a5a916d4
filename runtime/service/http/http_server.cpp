#include "runtime/service/http/http_server.h"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "runtime/service/http/session.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptPause{100};  // after an error, such as too many open files

tcp protocol_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return address.ss_family == AF_INET6 ? tcp::v6() : tcp::v4();
}

}  // namespace

class HttpServer::Impl : public std::enable_shared_from_this<HttpServer::Impl> {
 public:
  Impl(asio::io_context& io, int fd, Site& site, const HttpLimits& limits)
      : acceptor_(io, protocol_of(fd), fd),
        pause_(io),
        host_(std::make_shared<SessionHost>(SessionHost{site, limits})) {}

  void accept() {
    host_->changed = [self = weak_from_this()] {
      const auto impl = self.lock();
      if (!impl) return;
      if (impl->full_ && impl->has_room()) impl->accept_next();
      if (impl->changed_) impl->changed_();
    };
    accept_next();
  }

  void set_limits(const HttpLimits& limits) { host_->limits = limits; }

  void drain(Backlog backlog) {
    host_->draining = true;
    error_code error;
    if (!acceptor_.is_open()) return;
    acceptor_.cancel(error);
    acceptor_.non_blocking(true, error);
    while (backlog == Backlog::kServe && !error && host_->changed) {
      tcp::socket socket(acceptor_.get_executor());
      acceptor_.accept(socket, error);
      if (!error) make_session(std::move(socket), host_)->start();
    }
    acceptor_.close(error);
  }

  void close_idle() {
    const std::vector<Session*> sessions(host_->sessions.begin(), host_->sessions.end());
    for (Session* session : sessions) session->close_if_idle();
  }

  std::size_t connections() const { return host_->sessions.size(); }
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

 private:
  bool has_room() const { return host_->sessions.size() < host_->limits.max_connections; }

  void accept_next() {
    full_ = !has_room();
    if (full_ || !acceptor_.is_open() || host_->draining) return;
    acceptor_.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
      self->on_accept(error, std::move(socket));
    });
  }

  void on_accept(error_code error, tcp::socket socket) {
    if (!error) {  // also one that came just before drain(): nobody else can answer it
      make_session(std::move(socket), host_)->start();
      return accept_next();
    }
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    log_warning("accept_failed", {{"message", error.message()}});
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([self = shared_from_this()](error_code stopped) {
      if (!stopped) self->accept_next();
    });
  }

  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::shared_ptr<SessionHost> host_;
  std::function<void()> changed_;
  bool full_ = false;
};

HttpServer::HttpServer(asio::io_context& io, int listening_fd, Site& site, const HttpLimits& limits)
    : impl_(std::make_shared<Impl>(io, listening_fd, site, limits)) {}
HttpServer::~HttpServer() = default;
void HttpServer::accept() {
  impl_->accept();
}
void HttpServer::set_limits(const HttpLimits& limits) {
  impl_->set_limits(limits);
}
void HttpServer::drain(Backlog backlog) {
  impl_->drain(backlog);
}
void HttpServer::close_idle() {
  impl_->close_idle();
}
std::size_t HttpServer::connections() const noexcept {
  return impl_->connections();
}
void HttpServer::on_change(std::function<void()> changed) {
  impl_->on_change(std::move(changed));
}

}  // namespace holdall::runtime::service
