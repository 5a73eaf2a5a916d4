// From start to drain: sockets, readiness, signals, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <memory>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using ::testing::HasSubstr;

// A listening socket on 127.0.0.1.
struct Listening {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
  Listening() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd, 16), 0);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~Listening() { ::close(fd); }
};

// The other end of NOTIFY_SOCKET, at an abstract address or a path.
struct NotifySocket {
  int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  std::string name;
  explicit NotifySocket(std::string given) : name(std::move(given)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(name.begin(), name.end(), address.sun_path);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    const timeval patience{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~NotifySocket() { ::close(fd); }
  std::string next() {
    char text[512];
    const auto n = ::recv(fd, text, sizeof text, 0);
    return n < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(n));
  }
  // The first message that is no STATUS.
  std::string next_state() {
    std::string text = next();
    while (text.starts_with("STATUS=")) text = next();
    return text;
  }
};

std::vector<std::string> serve_argv(const Folder& model) {
  return {HOLDALL_EDIT, "serve", "--model", model.path().string(), "--worker", HOLDALL_FAKE_WORKER, "--port", "0"};
}

TEST(Lifecycle, AnswersProbesFromTheStartAndEditsOnceReady) {
  Folder model;
  model.write("wait");
  ServiceProcess service(model);
  EXPECT_EQ(service.probe("/livez").status, 200);
  EXPECT_EQ(service.probe("/startupz").status, 503);
  ASSERT_TRUE(
      eventually([&] { return service.probe("/readyz").body.find("loading fake weights") != std::string::npos; }));
  const Reply loading = service.probe("/readyz");
  EXPECT_EQ(loading.status, 503);
  EXPECT_EQ(loading.json()["reason"], "loading");
  EXPECT_TRUE(loading.headers.contains("retry-after"));
  Client early(service.port());  // waits in the backlog
  early.send(edit("p"));
  model.write("go");
  EXPECT_EQ(early.read_reply()->status, 200);
  for (const char* path : {"/readyz", "/startupz", "/health", "/v2/health/live", "/v2/health/ready"})
    EXPECT_EQ(service.probe(path).status, 200) << path;
  EXPECT_EQ(service.probe("/v1/models").status, 404);
  EXPECT_EQ(service.metric("holdall_ready "), 1);
  EXPECT_THAT(service.probe("/metrics").body, HasSubstr("torch=\"t1\""));
}

TEST(Lifecycle, SaysFirstWhereItListens) {
  Folder model;
  ServiceProcess service(model);
  const int port = service.port();
  const auto line = nlohmann::json::parse(service.log().substr(0, service.log().find('\n')));
  EXPECT_EQ(line["event"], "listening");
  EXPECT_EQ(line["url"], "http://127.0.0.1:" + std::to_string(port));
  EXPECT_TRUE(line.contains("health_url"));
}

TEST(Lifecycle, UsesInheritedSocketsAndTellsItsSupervisorWhenItIsReady) {
  for (const std::string& name : {std::string("@holdall-test-") + std::to_string(::getpid()), std::string()}) {
    Folder model;
    model.write("wait");
    Listening http, health;
    NotifySocket notify(name.empty() ? (model / "notify").string() : name);
    ServiceProcess service(serve_argv(model),
                           {"LISTEN_FDS=2", "LISTEN_FDNAMES=http:health", "NOTIFY_SOCKET=" + notify.name},
                           {{3, http.fd}, {4, health.fd}});
    EXPECT_EQ(service.port(), http.port);
    EXPECT_EQ(service.health_port(), health.port);
    EXPECT_EQ(notify.next(), "STATUS=loading fake weights");
    model.write("go");
    EXPECT_EQ(notify.next_state(), "READY=1");
    EXPECT_EQ(service.ask(edit("p")).status, 200);
    service.signal(SIGTERM);
    EXPECT_EQ(notify.next_state(), "STOPPING=1");
    EXPECT_EQ(service.wait_exit(), 0);
    Client next(http.port);  // the socket is still the supervisor's: a connection waits for the next service
    EXPECT_TRUE(next.send(request("GET", "/livez")));
  }
}

TEST(Lifecycle, GivesNoSocketOfItsOwnToTheWorker) {
  Folder model;
  Listening http, health;
  ServiceProcess service(serve_argv(model), {"LISTEN_FDS=2", "LISTEN_FDNAMES=http:health"},
                         {{3, http.fd}, {4, health.fd}});
  service.wait_ready();
  const std::string task =
      "/proc/" + std::to_string(service.pid()) + "/task/" + std::to_string(service.pid()) + "/children";
  FILE* file = std::fopen(task.c_str(), "r");
  ASSERT_TRUE(file);
  int worker = 0;
  ASSERT_EQ(std::fscanf(file, "%d", &worker), 1);
  std::fclose(file);
  int sockets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(worker) + "/fd"))
    sockets += std::filesystem::read_symlink(entry.path()).string().starts_with("socket:");
  EXPECT_EQ(sockets, 1);
}

TEST(Lifecycle, TakesConnectionsForAWhileAfterItSaysThatItDrains) {
  Folder model;
  model.write("config.json", R"({"drain":{"lame_duck_seconds":2}})");
  ServiceProcess service(model, {"--config", (model / "config.json").string()});
  service.wait_ready();
  service.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return service.probe("/readyz").status == 503; }));
  EXPECT_EQ(service.ask(edit("p")).status, 200) << "until whoever balances the load has noticed";
  EXPECT_EQ(service.wait_exit(), 0);
}

TEST(Lifecycle, TakesAsManyConnectionsAsTheHardLimitAllowsAndSaysSo) {
  Folder model;
  ServiceProcess service({"/usr/bin/prlimit", "--nofile=200:512", "--", HOLDALL_EDIT, "serve", "--model",
                          model.path().string(), "--worker", HOLDALL_FAKE_WORKER, "--port", "0"},
                         {}, {});
  service.wait_ready();
  EXPECT_THAT(service.log(), HasSubstr("limits.max_connections is 16384, but 384 connections are all that 512 open"));
  Client early(service.port());
  std::vector<std::unique_ptr<Client>> others;  // more than there is room for
  while (others.size() < 600) others.push_back(std::make_unique<Client>(service.port()));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_connections") == 384; }));
  early.send(edit("crash"));  // a new worker takes descriptors, too
  EXPECT_EQ(early.read_reply()->status, 500);
  service.wait_ready();
  early.send(edit("p"));
  EXPECT_EQ(early.read_reply()->status, 200);
  EXPECT_THAT(service.log(), ::testing::Not(HasSubstr("accept_failed")));
}

TEST(Lifecycle, RefusesAPortInUse) {
  Folder model;
  Listening taken;
  ServiceProcess service(model, {"--port", std::to_string(taken.port)});
  EXPECT_EQ(service.wait_exit(), 6);
  EXPECT_THAT(service.log(), HasSubstr("cannot listen on 'http://127.0.0.1:" + std::to_string(taken.port) +
                                       "': Address already in use"));
  EXPECT_EQ(model.read("log"), "");
}

TEST(Lifecycle, ServesEditsOnLoopbackOnly) {
  Folder model;
  ServiceProcess service(model, {"--host", "0.0.0.0"});
  EXPECT_EQ(service.wait_exit(), 2);
  EXPECT_THAT(service.log(), HasSubstr("loopback only"));
}

TEST(Lifecycle, RefusesAWrongCommandLine) {
  Folder model;
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"--port", "65536"},
                                              {"--no-such-option"},
                                              {"--queue-limit", "-1"},
                                              {"--dtype", "int8"},
                                              {"--host", "no such host"}}) {
    ServiceProcess service(model, bad);
    EXPECT_EQ(service.wait_exit(), 2) << bad[0];
    EXPECT_THAT(service.log(), ::testing::StartsWith("holdall-edit: "));
  }
  ServiceProcess none({HOLDALL_EDIT, "serve"}, {}, {});
  EXPECT_EQ(none.wait_exit(), 2);
}

TEST(Lifecycle, DrainsOnSigtermWithoutLosingWork) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  Client running(service.port()), waiting(service.port()), idle(service.port());
  running.send(edit("hold " + (model / "release").string()));
  ASSERT_TRUE(eventually([&] { return model.read("log").find("edit 1.0") != std::string::npos; }));
  waiting.send(edit("p"));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_queue_depth ") == 1; }));
  service.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return service.probe("/readyz").status == 503; }));
  EXPECT_EQ(service.probe("/readyz").json()["reason"], "draining");
  EXPECT_EQ(service.probe("/livez").status, 200);
  EXPECT_TRUE(idle.closed_by_server());
  EXPECT_TRUE(eventually([&] { return !Client(service.port()).send("GET"); }));
  model.write("release");
  const auto first = running.read_reply(), second = waiting.read_reply();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->headers.at("connection"), "close");
  EXPECT_EQ(second->status, 200);
  EXPECT_EQ(service.wait_exit(), 0);
  EXPECT_THAT(model.read("log"), HasSubstr("stopped"));
}

TEST(Lifecycle, ServesWhatWasOnItsWayWhenTheSignalCame) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  Client client(service.port());
  const std::string text = edit("p");
  client.send(text.substr(0, text.size() - 10));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_connections{state=\"open\"}") == 1; }));
  service.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return service.probe("/readyz").status == 503; }));
  client.send(text.substr(text.size() - 10));
  EXPECT_EQ(client.read_reply()->status, 200);
  EXPECT_EQ(service.wait_exit(), 0);
}

TEST(Lifecycle, ExitsWith130AfterSigintAndAbortsOnASecondSignal) {
  {
    Folder model;
    ServiceProcess service(model);
    service.wait_ready();
    service.signal(SIGINT);
    EXPECT_EQ(service.wait_exit(), 130);
  }
  for (const auto& [number, code] : {std::pair{SIGTERM, 143}, std::pair{SIGINT, 130}}) {
    Folder model;
    ServiceProcess service(model);
    service.wait_ready();
    Client client(service.port());
    client.send(edit("hold " + (model / "never").string()));
    ASSERT_TRUE(eventually([&] { return model.read("log").find("edit 1.0") != std::string::npos; }));
    service.signal(SIGTERM);
    ASSERT_TRUE(eventually([&] { return service.probe("/readyz").status == 503; }));
    service.signal(number);
    EXPECT_EQ(service.wait_exit(), code);
  }
}

TEST(Lifecycle, StopsAtOnceWhileItLoads) {
  Folder model;
  model.write("wait");
  ServiceProcess service(model);
  ASSERT_TRUE(eventually([&] { return model.read("log").find("started") != std::string::npos; }));
  service.signal(SIGTERM);
  EXPECT_EQ(service.wait_exit(), 0);
}

}  // namespace
}  // namespace holdall::runtime::service::testing
