// Pictures by their addresses, in a network of the test's own: no device but loopback, which has a public address, too,
// and names of its own (/etc/hosts). So the service is the real one, and nothing in it makes way for tests.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kPublic = "93.184.215.14";

void write_file(const char* file, const std::string& text) {
  std::ofstream(file) << text;
}

bool set_address(int fd, const char* name, const char* address) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (address) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    ::inet_pton(AF_INET, address, &in.sin_addr);
    std::memcpy(&request.ifr_addr, &in, sizeof in);
    return ::ioctl(fd, SIOCSIFADDR, &request) == 0;
  }
  request.ifr_flags = IFF_UP;
  return ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

// What this process sees from now on, and its children. False: this machine does not allow it.
bool enter_own_network(const Folder& folder) {
  const uid_t user = ::geteuid();
  if (::unshare((user == 0 ? 0 : CLONE_NEWUSER) | CLONE_NEWNET | CLONE_NEWNS) != 0) return false;
  if (user != 0) write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1\n");
  folder.write("hosts", std::string("127.0.0.1 localhost near.example mixed.example\n") + kPublic +
                            " far.example mixed.example other.example\n10.0.0.1 private.example\n");
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool done = set_address(fd, "lo", nullptr) && set_address(fd, "lo:1", kPublic) &&
                    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                    ::mount((folder / "hosts").c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) == 0;
  ::close(fd);
  return done;
}

// Answers each connection with the same bytes, and closes it; with a certificate, over TLS.
class Server {
 public:
  Server(const char* address, unsigned short port, std::string answer, const std::string& certificate = "")
      : answer_(std::move(answer)), acceptor_(io_, {asio::ip::make_address(address), port}) {
    if (!certificate.empty()) {
      tls_.emplace(asio::ssl::context::tls_server);
      tls_->use_certificate_chain_file(certificate);
      tls_->use_private_key_file(certificate, asio::ssl::context::pem);
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ended_ = true;
    boost::system::error_code ignored;
    tcp::socket(io_).connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }

  std::string asked_for;  // the last request's head; read it after its answer
  std::atomic<int> connections = 0;

 private:
  void serve() {
    for (;;) {
      boost::system::error_code error;
      tcp::socket socket = acceptor_.accept(error);
      if (ended_) return;
      ++connections;
      if (!tls_) {
        converse(socket);
        continue;
      }
      asio::ssl::stream<tcp::socket&> secure(socket, *tls_);
      secure.handshake(asio::ssl::stream_base::server, error);
      if (error) continue;
      converse(secure);
      secure.shutdown(error);
    }
  }

  template <class Stream>
  void converse(Stream& stream) {
    boost::system::error_code error;
    std::string head;
    char piece[1024];
    while (head.find("\r\n\r\n") == head.npos && !error)
      head.append(piece, stream.read_some(asio::buffer(piece), error));
    asked_for = head;
    if (answer_ == "drip") {  // a byte at a time, without an end
      asio::write(stream, asio::buffer("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", 41), error);
      while (!error && !ended_) {
        asio::write(stream, asio::buffer("x", 1), error);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      return;
    }
    asio::write(stream, asio::buffer(answer_), error);
  }

  const std::string answer_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::optional<asio::ssl::context> tls_;
  std::thread thread_;
  std::atomic<bool> ended_ = false;
};

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class FetchedPictures : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!enter_own_network(state_)) GTEST_SKIP() << "no network of its own here: " << std::strerror(errno);
  }

  void start(const json& images, json config = json::object(), std::vector<std::string> environment = {}) {
    config["images"] = images;
    state_.write("config.json", config.dump());
    service_ = std::make_unique<ServiceProcess>(
        model_,
        std::vector<std::string>{"--state", state_.path().string(), "--config", (state_ / "config.json").string()},
        std::move(environment));
    service_->wait_ready();
  }
  static json hosts(const std::vector<std::string>& names) { return {{"allow_url_hosts", names}}; }

  static std::string asking(const json& image, json more = json::object(), const std::string& headers = "") {
    more.emplace("prompt", "p");
    more["image"] = image;
    return request("POST", "/v1/images/edits", more.dump(), "application/json", headers);
  }
  Reply ask(const json& image, const json& more = json::object(), const std::string& headers = "") {
    return service_->ask(asking(image, more, headers));
  }
  static std::string picture(const Reply& reply) {
    return reply.status == 200 ? from_base64(reply.json()["data"][0]["b64_json"]) : reply.body;
  }

  Folder model_, state_;
  std::unique_ptr<ServiceProcess> service_;
};

TEST_F(FetchedPictures, ComeFromAListedHost) {
  Server server(kPublic, 80, ok("FETCHED"));
  start(hosts({"far.example", kPublic}));
  EXPECT_EQ(picture(ask("http://far.example/a/b.png?sign=%2F&x#part")), "FETCHED");
  EXPECT_THAT(server.asked_for, HasSubstr("GET /a/b.png?sign=%2F&x HTTP/1.1\r\nHost: far.example\r\n"));
  EXPECT_EQ(picture(ask({{"image_url", {{"url", "http://FAR.example"}}}})), "FETCHED") << "names have no case";
  EXPECT_THAT(server.asked_for, HasSubstr("GET / HTTP/1.1"));
  const json mixed = {"data:;base64,QUJD", "http://far.example/2"};
  EXPECT_EQ(picture(ask(mixed, {{"mask", "http://far.example/m"}})), "ABC") << "each is in its place";
  EXPECT_EQ(picture(ask(mixed, {{"prompt", "mask"}})), "FETCHED");
  EXPECT_EQ(picture(ask("data:;base64,QUJD", {{"prompt", "mask"}, {"mask", "http://far.example/m"}})), "FETCHED");
  EXPECT_EQ(server.connections, 6);
  EXPECT_THAT(server.asked_for, HasSubstr("User-Agent: holdall-edit/"));
  EXPECT_EQ(picture(ask(std::string("http://") + kPublic + "/")), "FETCHED");
}

TEST_F(FetchedPictures, AreNoneWhereNoHostIsListed) {
  Server server(kPublic, 80, ok("FETCHED"));
  start(json::object());
  const Reply reply = ask("http://far.example/a.png");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.error()["code"], "url_not_allowed");
  EXPECT_EQ(reply.error()["param"], "image");
  EXPECT_THAT(std::string(reply.error()["message"]), HasSubstr("must be a data URL"));
  EXPECT_EQ(server.connections, 0);
}

TEST_F(FetchedPictures, DoNotComeFromOtherHostsPortsOrSchemes) {
  Server server(kPublic, 80, ok("FETCHED")), other_port(kPublic, 8081, ok("FETCHED"));
  start(hosts({"far.example", "other.example:8443"}));
  for (const char* url :
       {"http://other.example/", "http://93.184.215.14/", "http://far.example:8081/", "http://far.example.:80/",
        "http://user@far.example/", "http://far.example@other.example/", "http://other.example\\@far.example/",
        "http://sub.far.example/", "https://far.example:1x/", "http://far.example:65616/", "http:///a",
        "http://far.example/a b", "http://far.example/\r\nX: y", "ftp://far.example/", "file:///etc/passwd",
        "//far.example/", "http:far.example"}) {
    const Reply reply = ask("data:;base64,QUJD", {{"mask", url}});
    EXPECT_EQ(reply.status, 400) << url;
    EXPECT_EQ(reply.error()["param"], "mask") << url;
  }
  EXPECT_EQ(server.connections + other_port.connections, 0);
}

TEST_F(FetchedPictures, DoNotComeFromAddressesThatAreNotPublic) {
  Server loopback("0.0.0.0", 80, ok("SECRET"));
  start(hosts({"localhost", "near.example", "mixed.example", "private.example", "127.0.0.1", "127.1", "0.0.0.0",
               "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"}));
  for (const char* host : {"localhost", "near.example", "mixed.example", "private.example", "127.0.0.1", "127.1",
                           "0.0.0.0", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"}) {
    const Reply reply = ask("http://" + std::string(host) + "/");
    EXPECT_EQ(reply.status, 400) << host;
    EXPECT_EQ(reply.error()["code"], "url_not_allowed") << host << ' ' << reply.body;
  }
  EXPECT_EQ(loopback.connections, 0);
}

TEST_F(FetchedPictures, DoNotComeFromWhereAListedHostSendsUs) {
  Server server(kPublic, 80, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:81/\r\nContent-Length: 0\r\n\r\n");
  Server inside("127.0.0.1", 81, ok("SECRET"));
  start(hosts({"far.example"}));
  const Reply reply = ask("http://far.example/a.png");
  EXPECT_EQ(reply.error()["code"], "url_not_fetched");
  EXPECT_THAT(std::string(reply.error()["message"]), HasSubstr("leads elsewhere (status 302)"));
  EXPECT_EQ(inside.connections, 0);
}

TEST_F(FetchedPictures, ComeOverTlsFromWhomTheAuthoritiesKnow) {
  const std::string pem = (state_ / "far.pem").string();
  ASSERT_EQ(std::system(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=far "
                         "-addext subjectAltName=DNS:far.example -keyout " +
                         pem + ".key -out " + pem + ".crt 2>/dev/null && cat " + pem + ".crt " + pem + ".key >" + pem)
                            .c_str()),
            0);
  Server server(kPublic, 443, ok("FETCHED"), pem);
  start(hosts({"far.example", "other.example"}), json::object(), {"SSL_CERT_FILE=" + pem + ".crt"});
  EXPECT_EQ(picture(ask("https://far.example/a.png")), "FETCHED");
  const Reply wrong_name = ask("https://other.example/a.png");
  EXPECT_EQ(wrong_name.error()["code"], "url_not_fetched");
  EXPECT_THAT(std::string(wrong_name.error()["message"]), HasSubstr("no secure connection"));
  start(hosts({"far.example"}));
  EXPECT_THAT(std::string(ask("https://far.example/a.png").error()["message"]), HasSubstr("no secure connection"));
}

TEST_F(FetchedPictures, HaveTheBoundsOfABody) {
  Server large(kPublic, 80, ok(std::string(3000, 'x'))), slow(kPublic, 81, "drip");
  Server endless(kPublic, 82, "HTTP/1.1 200 OK\r\n\r\n" + std::string(200'000, 'x'));
  start(hosts({"far.example", "far.example:81", "far.example:82"}),
        {{"limits", {{"max_body_bytes", 5000}, {"body_timeout_seconds", 1}}}});
  EXPECT_EQ(ask("http://far.example/").status, 200);
  const Reply both = ask({"http://far.example/1", "http://far.example/2"});
  EXPECT_EQ(both.status, 413) << "all of a request's together";
  EXPECT_EQ(both.error()["code"], "body_too_large");
  EXPECT_EQ(ask("http://far.example:82/").status, 413) << "also where no length is said";
  const auto begun = std::chrono::steady_clock::now();
  const Reply late = ask("http://far.example:81/");
  EXPECT_EQ(late.error()["code"], "url_not_fetched");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_EQ(ask("http://far.example:81/", json::object(), "X-Request-Timeout: 0.2\r\n").status, 504);
}

TEST_F(FetchedPictures, ThatCannotBeHadAreTheRequestsFault) {
  Server none(kPublic, 80, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), empty(kPublic, 81, ok(""));
  start(hosts({"far.example", "far.example:81", "far.example:82", "nowhere.example"}));
  for (const auto& [url, why] : {std::pair{"http://far.example/", "status 404"},
                                 {"http://far.example:81/", "nothing"},
                                 {"http://far.example:82/", "cannot connect"},
                                 {"http://nowhere.example/", "cannot find"}}) {
    const Reply reply = ask(url);
    EXPECT_EQ(reply.status, 400) << url;
    EXPECT_THAT(std::string(reply.error()["message"]), HasSubstr(why));
  }
  EXPECT_EQ(service_->ask(edit("p")).status, 200);
}

TEST_F(FetchedPictures, AreNotFetchedForARequestThatIsWrongAnyway) {
  Server server(kPublic, 80, ok("FETCHED"));
  start(hosts({"far.example"}), {{"policy", {{"blocked_words", {"forbidden"}}}}});
  EXPECT_EQ(ask("http://far.example/", {{"n", 11}}).error()["param"], "n");
  EXPECT_EQ(ask("http://far.example/", {{"prompt", "forbidden"}}).error()["code"], "content_policy_violation");
  EXPECT_EQ(server.connections, 0);
}

TEST_F(FetchedPictures, AreThereBeforeAJobIsAccepted) {
  Server server(kPublic, 80, ok("FETCHED"));
  start(hosts({"far.example"}));
  const Reply accepted = ask("http://far.example/", json::object(), "Prefer: respond-async\r\n");
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  EXPECT_EQ(server.connections, 1);
  Reply job;
  EXPECT_TRUE(eventually([&] {
    job = service_->ask(request("GET", accepted.headers.at("location")));
    return job.json()["status"] == "succeeded";
  }));
  EXPECT_EQ(from_base64(job.json()["result"]["data"][0]["b64_json"]), "FETCHED");
}

TEST_F(FetchedPictures, CountByTheirContentForTheCache) {
  Server server(kPublic, 80, ok("FETCHED"));
  start(hosts({"far.example"}));
  EXPECT_EQ(ask("http://far.example/1", {{"seed", 1}}).headers.at("x-cache"), "miss");
  EXPECT_EQ(ask("http://far.example/2", {{"seed", 1}}).headers.at("x-cache"), "hit");
  EXPECT_EQ(ask("data:;base64,RkVUQ0hFRA==", {{"seed", 1}}).headers.at("x-cache"), "hit");
}

TEST_F(FetchedPictures, AreGivenUpWithTheirClient) {
  Server slow(kPublic, 80, "drip");
  start(hosts({"far.example"}));
  {
    Client client(service_->port());
    client.send(asking("http://far.example/"));
    ASSERT_TRUE(eventually([&] { return slow.connections == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return service_->log().find("\"status\":499") != std::string::npos; }));
  service_->signal(SIGTERM);
  EXPECT_EQ(service_->wait_exit(), 0);
}

}  // namespace
}  // namespace holdall::runtime::service::testing
