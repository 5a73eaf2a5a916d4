// Many clients at once, most of them bad ones: what the others notice.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

// Raises this process's own limit, too: each connection has two ends. False: the machine does not allow as many.
bool may_open(rlim_t descriptors) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < descriptors) return false;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

std::vector<std::unique_ptr<Client>> connect(int port, int count) {
  std::vector<std::unique_ptr<Client>> clients;
  while (count-- > 0) clients.push_back(std::make_unique<Client>(port));
  return clients;
}

double p99(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() * 99 / 100];
}

TEST(Connections, TenThousandThatAreIdleDelayNobody) {
  if (!may_open(10'200)) GTEST_SKIP() << "needs 10,200 open files: ulimit -Hn";
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  const auto idle = connect(service.port(), 10'000);
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_connections") == 10'000; }));
  std::vector<double> waits;
  for (int i = 0; i < 500; ++i) {
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(i % 2 == 0 ? service.probe("/livez").status : service.ask(request("GET", "/livez")).status, 200);
    waits.push_back(Milliseconds(std::chrono::steady_clock::now() - before).count());
  }
  EXPECT_LT(p99(waits), 50);
  RecordProperty("livez_p99_ms", std::to_string(p99(waits)));
  EXPECT_EQ(service.ask(edit("p")).status, 200);
}

TEST(Connections, ThatAreSlowAreCutByTotalDeadlinesWhileOthersAreServed) {
  if (!may_open(6'000)) GTEST_SKIP() << "needs 6,000 open files: ulimit -Hn";
  Folder model;
  model.write("c.json",
              R"({"limits":{"header_timeout_seconds":3,"body_timeout_seconds":3,"write_timeout_seconds":3}})");
  ServiceProcess service(model, {"--config", (model / "c.json").string()});
  service.wait_ready();
  std::string many_pages;
  for (int i = 0; i < 150; ++i) many_pages += request("GET", "/");  // more than kernels buffer
  auto drippers = connect(service.port(), 4'500);
  std::vector<std::unique_ptr<Client>> readers;
  for (int i = 0; i < 4'500; ++i)
    drippers[i]->send(i < 4'000 ? "POST /v1/images/edits HTTP/1.1\r\nHost: a\r\nX-Slow: "
                                : "POST /v1/images/edits HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n"
                                  "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b");
  for (int i = 0; i < 500; ++i) {
    readers.push_back(std::make_unique<Client>(service.port(), 4'096));
    readers.back()->send(many_pages);
  }
  EXPECT_TRUE(eventually([&] { return service.metric("holdall_connections") > 4'000; }));
  // What the readers ask for is more than a gigabyte until their windows are full: that is load, and not yet slowness.
  ASSERT_TRUE(eventually([&] { return service.ask(request("GET", "/livez")).status == 200; }));
  std::atomic<bool> over{false};
  std::thread drip([&] {
    while (!over) {
      for (auto& client : drippers)
        if (client && !client->send("a")) client.reset();
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  });
  std::vector<double> waits;
  const bool cut = eventually([&] {
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(service.ask(edit("p")).status, 200);
    waits.push_back(Milliseconds(std::chrono::steady_clock::now() - before).count());
    return service.metric("holdall_connections") == 0;
  });
  over = true;
  drip.join();
  EXPECT_TRUE(cut) << service.metric("holdall_connections") << " are still connected";
  EXPECT_LT(p99(waits), 1'000);
}

// 8 MB every second, and each of the three pictures takes a second: together they take too long.
TEST(Connections, WhoseStreamIsReadTooSlowlyAreCutHoweverManyPiecesItHas) {
  Folder model;
  model.write("c.json", R"({"limits":{"write_timeout_seconds":2}})");
  ServiceProcess service(model, {"--config", (model / "c.json").string()});
  service.wait_ready();
  Client client(service.port(), 65'536);
  std::vector<Part> parts{{"image", std::string(6'000'000, 'P'), "a.png"},
                          {"prompt", "show", ""},
                          {"stream", "true", ""},
                          {"partial_images", "3", ""}};
  client.send(
      request("POST", "/v1/images/edits", multipart(parts), std::string("multipart/form-data; boundary=") + kBoundary));
  std::size_t got = 0;
  for (std::size_t n; (n = client.skip(64 << 10)) > 0; got += n)
    std::this_thread::sleep_for(std::chrono::milliseconds(8));
  EXPECT_GT(got, 4'000'000u);
  EXPECT_LT(got, 22'000'000u) << "it had all the time it wanted";
  EXPECT_EQ(service.ask(edit("p")).status, 200);
}

}  // namespace
}  // namespace holdall::runtime::service::testing
