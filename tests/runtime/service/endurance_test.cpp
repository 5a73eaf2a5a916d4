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

// With ten times the requests that the worker can take: those that are admitted are as many as before, and what is
// refused leaves nothing behind.
TEST(Overload, TakesNothingFromWhatIsAdmitted) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  struct Load {
    int clients;
    std::chrono::duration<double> pause, time;  // between the requests of one client; of all
  };
  struct Outcome {
    int asked = 0, done = 0;
  };
  const auto run = [&](const Load& load) {
    std::atomic<int> asked{0}, done{0};
    std::vector<std::thread> threads;
    const auto end = std::chrono::steady_clock::now() + load.time;
    for (int i = 0; i < load.clients; ++i)
      threads.emplace_back([&, i] {
        std::optional<Client> client;
        std::this_thread::sleep_for(load.pause * i / load.clients);
        while (std::chrono::steady_clock::now() < end) {
          const auto next = std::chrono::steady_clock::now() + load.pause;
          ++asked;
          if (!client) client.emplace(service.port());
          client->send(edit("take 20"));
          auto reply = client->read_reply();
          EXPECT_TRUE(reply && (reply->status == 200 || reply->status == 429)) << (reply ? reply->body : "no reply");
          done += reply && reply->status == 200 && std::chrono::steady_clock::now() < end;
          if (!reply || reply->headers["connection"] == "close") client.reset();  // refused before its body was read
          std::this_thread::sleep_until(next);
        }
      });
    for (auto& thread : threads) thread.join();
    return Outcome{asked, done};
  };
  const auto resident_kib = [&] {
    std::ifstream status("/proc/" + std::to_string(service.pid()) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("VmRSS:")) return std::stoi(line.substr(6));
    return 0;
  };
  using Seconds = std::chrono::duration<double>;
  const Outcome peak = run({4, Seconds(0), Seconds(4)});
  const Load overload{300, Seconds(300.0 / (14 * peak.done / 4.0)), Seconds(4)};
  run(overload);
  const int before = resident_kib();
  const Outcome first = run(overload), second = run(overload);
  for (const auto& outcome : {first, second}) {
    EXPECT_GE(outcome.asked, 10 * peak.done);
    EXPECT_GE(outcome.done, 0.9 * peak.done);
  }
  EXPECT_LT(resident_kib() - before, 8 << 10) << "KiB more after " << first.asked + second.asked << " requests";
}

// A tmpfs that only the service's own mount namespace has, which is then full.
TEST(FullDisk, RefusesJobsAndServesEdits) {
  Folder model, state;
  const std::string mount = "mount -t tmpfs -o size=4m none '" + state.path().string() + "'";
  if (std::system(("unshare --user --map-root-user --mount bash -c \"" + mount + "\" 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "needs a mount namespace of its own";
  ServiceProcess service({"/usr/bin/unshare", "--user", "--map-root-user", "--mount", "/bin/bash", "-c",
                          mount + " && exec \"$@\"", "bash", HOLDALL_EDIT, "serve", "--model", model.path().string(),
                          "--worker", HOLDALL_FAKE_WORKER, "--port", "0", "--state", state.path().string()},
                         {"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}, {});
  service.wait_ready();
  const std::string prefer = "Prefer: respond-async\r\n";
  const Reply held = service.ask(edit("hold " + (model / "release").string(), {}, prefer));
  ASSERT_EQ(held.status, 202) << held.body;
  const std::string job = held.headers.at("location");
  const auto status_of = [&] { return service.ask(request("GET", job)).json()["status"]; };
  ASSERT_TRUE(eventually([&] { return status_of() == "running"; }));

  const std::string filler = "/proc/" + std::to_string(service.pid()) + "/root" + (state / "filler").string();
  std::ofstream out(filler, std::ios::binary);
  const std::string page(4096, 'x');
  while (out.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) continue;
  out.close();
  model.write("release");
  for (int i = 0; i < 3; ++i) {
    const Reply refused = service.ask(edit("p", {}, prefer));
    EXPECT_EQ(refused.status, 503) << refused.body;
    EXPECT_EQ(refused.error()["code"], "jobs_unavailable");
    EXPECT_TRUE(refused.headers.contains("retry-after"));
    EXPECT_EQ(service.ask(edit("p")).status, 200);
    EXPECT_EQ(service.ask(edit("p", {{"seed", std::to_string(i), ""}})).status, 200) << "what the cache cannot keep";
    EXPECT_EQ(service.ask(edit("p", {}, "Idempotency-Key: k" + std::to_string(i) + "\r\n")).status, 200);
  }
  const Reply url = service.ask(edit("p", {{"response_format", "url", ""}}));
  EXPECT_EQ(url.error()["code"], "picture_not_kept") << url.body;
  EXPECT_EQ(service.probe("/readyz").status, 200);
  EXPECT_NE(status_of(), "failed");

  ASSERT_TRUE(std::filesystem::remove(filler));
  EXPECT_TRUE(eventually([&] { return status_of() == "succeeded"; }));
  EXPECT_EQ(service.ask(edit("p", {}, prefer)).status, 202);
  EXPECT_EQ(service.ask(edit("p", {{"response_format", "url", ""}})).status, 200);
}

}  // namespace
}  // namespace holdall::runtime::service::testing
