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

}  // namespace
}  // namespace holdall::runtime::service::testing
