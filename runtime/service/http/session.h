// One connection. Only session.cpp includes Beast.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <unordered_set>

#include "runtime/service/http/http.h"
#include "runtime/service/options.h"

namespace holdall::runtime::service {

class Session {
 public:
  virtual ~Session() = default;
  virtual void start() = 0;
  // Closes unless a request is being read, handled or answered.
  virtual void close_if_idle() = 0;
};

// What the sessions of one server share. Used on the server's thread only.
struct SessionHost {
  Site& site;
  HttpLimits limits;
  std::function<void()> changed{};          // a session was opened or closed
  std::unordered_set<Session*> sessions{};  // those that are open
  bool draining = false;                    // replies end their connection
};

// The session lives as long as it has something to wait for.
std::shared_ptr<Session> make_session(boost::asio::ip::tcp::socket socket, std::shared_ptr<SessionHost> host);

}  // namespace holdall::runtime::service
