// The listener itself, on a loop that the test turns.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <future>

#include "harness.h"
#include "runtime/service/http/http_server.h"

namespace holdall::runtime::service::testing {
namespace {

class Hello : public Site {
 public:
  std::unique_ptr<RequestHandler> open(HttpRequest&) override { return std::make_unique<Handler>(); }
  void closed(const HttpRequest&, const AccessRecord&) override {}

 private:
  struct Handler : RequestHandler {
    void body(std::string_view) override {}
    void finish(std::shared_ptr<Exchange> exchange) override { exchange->reply({}); }
  };
};

int listen_on_loopback(int& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(fd, name, size), 0);
  EXPECT_EQ(::listen(fd, 8), 0);
  EXPECT_EQ(::getsockname(fd, name, &size), 0);
  port = ntohs(address.sin_port);
  return fd;
}

TEST(HttpServer, AnswersWhomItHasTakenJustBeforeItDrains) {
  for (const auto backlog : {HttpServer::Backlog::kServe, HttpServer::Backlog::kLeave}) {
    Hello site;
    boost::asio::io_context io;
    int port = 0;
    HttpServer server(io, listen_on_loopback(port), site, {});
    Client client(port);
    ASSERT_TRUE(client.send(request("GET", "/")));
    server.accept();  // takes it: it is there. The loop hears of that only when it turns.
    server.drain(backlog);
    auto answer = std::async(std::launch::async, [&] {
      const auto reply = client.read_reply();
      client.close();
      return reply;
    });
    io.run();
    const auto reply = answer.get();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
  }
}

}  // namespace
}  // namespace holdall::runtime::service::testing
