// A listener and its connections, on one thread.
#pragma once

#include <functional>
#include <memory>

#include "runtime/service/http/http.h"
#include "runtime/service/options.h"

namespace boost::asio {
class io_context;
}

namespace holdall::runtime::service {

class HttpServer {
 public:
  // Takes over `listening_fd`, a TCP socket that listens. `site` and `io` outlive the server's connections.
  // Connections wait in the socket's backlog until accept().
  HttpServer(boost::asio::io_context& io, int listening_fd, Site& site, const HttpLimits& limits);
  ~HttpServer();

  void accept();

  // From the next request on.
  void set_limits(const HttpLimits& limits);

  enum class Backlog { kServe, kLeave };  // kLeave: another process goes on accepting on the same socket
  // Takes no new connections; replies from now on end theirs.
  void drain(Backlog backlog);
  void close_idle();

  std::size_t connections() const noexcept;
  // Called whenever connections() changes.
  void on_change(std::function<void()> changed);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
