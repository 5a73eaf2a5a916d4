// A canary: its share, its judgement, and all the ways in which it ends.
#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "bundle/error.h"
#include "fixture.h"
#include "launcher/canary/judgement.h"
#include "launcher/canary/request_counts.h"

namespace holdall::launcher::testing {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using ::testing::HasSubstr;

// Asks without a pause until it is destroyed.
class Clients {
 public:
  explicit Clients(const std::string& url) {
    for (int i = 0; i < 3; ++i)
      threads_.emplace_back([this, url] {
        while (!done_) ++(get(url, "/") ? answered_ : lost_);
      });
  }
  ~Clients() { finish(); }
  void finish() {
    done_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  int answered() const { return answered_; }
  int lost() const { return lost_; }

 private:
  std::atomic<bool> done_ = false;
  std::atomic<int> answered_ = 0, lost_ = 0;
  std::vector<std::thread> threads_;
};

class CanaryTest : public SuperviseTest {
 protected:
  CanaryTest() { options_.canary_interval = std::chrono::milliseconds(50); }

  // How `use --canary` ended: the release in use, or the message of Error{kNotReady}.
  static std::string use_canary(const Store& store, const std::string& release, const CanaryTerms& terms) {
    try {
      return use_running(store, release, terms).value().generation.release;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kNotReady) << error.what();
      return error.what();
    }
  }
  bool shares() {
    const auto canary = nlohmann::json::parse(status_field(store_, "canary"));
    return !canary.is_null() && !canary["seconds_left"].is_null();
  }
  bool is_over() { return status_field(store_, "canary") == "null"; }
  void expect_unchanged(const std::string& release, std::uint64_t generation) {
    EXPECT_EQ(version_served(), release.substr(5, 5));
    EXPECT_EQ(store_.current()->release, release);
    EXPECT_EQ(store_.current()->number, generation);
    EXPECT_EQ(status_field(store_, "state"), "\"running\"");
    EXPECT_TRUE(is_over());
  }
};

constexpr CanaryTerms kLong{30, std::chrono::seconds(60)};

TEST_F(CanaryTest, GetsItsShareOfTheConnectionsAndIsThenUsed) {
  const std::string one = add_release({"1.0.0"}), two = add_release({"2.0.0", {"ready_after_ms=50"}});
  activate(one);
  const std::string url = start_and_wait();
  Clients clients(url);
  std::string ended;
  std::thread user([&] { ended = use_canary(store_, two, {30, std::chrono::seconds(4)}); });
  ASSERT_TRUE(eventually([&] { return shares(); }));
  int of_two = 0;
  constexpr int kAsked = 500;
  for (int i = 0; i < kAsked; ++i) of_two += get(url, "/").value_or("").starts_with("2.0.0");
  const bool still = shares();
  EXPECT_EQ(store_.current()->release, one) << "in use before it was judged";
  user.join();
  clients.finish();
  EXPECT_EQ(ended, two);
  EXPECT_EQ(clients.lost(), 0);
  EXPECT_EQ(version_served(), "2.0.0");
  EXPECT_EQ(store_.current()->release, two);
  EXPECT_TRUE(is_over());
  EXPECT_EQ(status_field(store_, "last_error"), "null");
  ASSERT_TRUE(still) << "this machine is too slow for the measurement";
  // 150 of 500, give or take five times the standard deviation of 10.2.
  EXPECT_NEAR(of_two, 0.3 * kAsked, 52);
}

TEST_F(CanaryTest, GoesBackWhenItFailsMoreRequestsThanTheOther) {
  const std::string one = add_release({"1.0.0"}), two = add_release({"2.0.0", {"errs_every=2", "drain_ms=50"}});
  activate(one);
  const std::string url = start_and_wait();
  Clients clients(url);
  const std::string failure = use_canary(store_, two, kLong);
  EXPECT_THAT(failure, HasSubstr("it failed"));
  EXPECT_THAT(failure, HasSubstr("'" + one + "' serves"));
  EXPECT_THAT(status_field(store_, "last_error"), HasSubstr("taken back as a canary"));
  EXPECT_TRUE(eventually([&] { return version_served() == "1.0.0"; }));
  clients.finish();
  EXPECT_EQ(clients.lost(), 0);
  expect_unchanged(one, 1);
  // Another one may follow.
  std::string ended;
  EXPECT_TRUE(eventually([&] {
    try {
      return use_running(store_, add_release({"3.0.0"}))->generation.release == "demo-3.0.0-0123456789ab";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBusy) << error.what();
      return false;
    }
  }));
}

TEST_F(CanaryTest, IsNotBlamedForWhatGoesWrongForBoth) {
  const std::string one = add_release({"1.0.0", {"errs_every=4"}}), two = add_release({"2.0.0", {"errs_every=4"}});
  activate(one);
  const Clients clients(start_and_wait());
  EXPECT_EQ(use_canary(store_, two, {50, std::chrono::seconds(1)}), two);
}

TEST_F(CanaryTest, GoesBackWhenNobodyAsks) {
  const std::string one = add_release({"1.0.0"});
  activate(one);
  start_and_wait();
  EXPECT_THAT(use_canary(store_, add_release({"2.0.0"}), {50, std::chrono::seconds(1)}), HasSubstr("too few"));
  expect_unchanged(one, 1);
}

TEST_F(CanaryTest, GoesBackWhenItHasNoMetrics) {
  const std::string one = add_release({"1.0.0"});
  activate(one);
  const Clients clients(start_and_wait());
  EXPECT_THAT(use_canary(store_, add_release({"2.0.0", {"no_metrics"}}), {50, std::chrono::seconds(1)}),
              HasSubstr("no answer to /metrics: status 500"));
  EXPECT_EQ(store_.current()->release, one);
}

TEST_F(CanaryTest, GoesBackWhenItDoesNotBecomeReadyOrDies) {
  options_.ready_timeout = std::chrono::milliseconds(300);
  const std::string one = add_release({"1.0.0"});
  activate(one);
  const std::string url = start_and_wait();
  Clients clients(url);
  EXPECT_THAT(use_canary(store_, add_release({"2.0.0", {"never_ready", "status=loading"}}), kLong),
              HasSubstr("not ready within"));
  EXPECT_TRUE(eventually([&] { return is_over(); }));
  const auto when_free = [&](const std::string& release) {  // the one before may still drain
    std::string ended;
    EXPECT_TRUE(eventually([&] {
      try {
        use_running(store_, release, kLong);
        return true;
      } catch (const Error& error) {
        ended = error.what();
        return error.kind() != ErrorKind::kBusy;
      }
    }));
    return ended;
  };
  EXPECT_THAT(when_free(add_release({"3.0.0", {"status=golden edit differs", "exit_before_ready=7"}})),
              HasSubstr("status 7: golden edit differs"));
  clients.finish();
  EXPECT_EQ(clients.lost(), 0) << "none of them ever had a connection";
  std::string ended;
  std::thread user([&] { ended = when_free(add_release({"4.0.0", {"dies_after=5"}})); });
  EXPECT_TRUE(eventually([&] { return !get(url, "/") || !ended.empty(); }));
  user.join();
  EXPECT_THAT(ended, HasSubstr("was killed by signal 6"));
  expect_unchanged(one, 1);
}

TEST_F(CanaryTest, ARollbackTakesItBackAndAStopEndsIt) {
  const std::string one = add_release({"1.0.0"}), two = add_release({"2.0.0"});
  activate(one);
  const std::string url = start_and_wait();
  Clients clients(url);
  std::string ended;
  std::thread user([&] { ended = use_canary(store_, two, kLong); });
  ASSERT_TRUE(eventually([&] { return shares(); }));
  EXPECT_THROW(use_running(store_, add_release({"3.0.0"})), Error);
  EXPECT_THROW(restart_running(store_), Error);
  EXPECT_EQ(rollback_running(store_, std::nullopt)->generation.release, one);
  user.join();
  EXPECT_THAT(ended, HasSubstr("a rollback came"));
  EXPECT_TRUE(eventually([&] { return version_served() == "1.0.0"; }));
  clients.finish();
  EXPECT_EQ(clients.lost(), 0);
  expect_unchanged(one, 1);

  std::thread other([&] {
    EXPECT_TRUE(eventually([&] {
      try {
        use_running(store_, two, kLong);
      } catch (const Error& error) {
        ended = error.what();
        return error.kind() != ErrorKind::kBusy;
      }
      return true;
    }));
  });
  ASSERT_TRUE(eventually([&] { return shares(); }));
  const pid_t canary = nlohmann::json::parse(status_field(store_, "canary"))["pid"].get<pid_t>();
  EXPECT_TRUE(stop_running(store_, std::nullopt));
  EXPECT_FALSE(is_alive(canary));
  other.join();
  EXPECT_THAT(ended, HasSubstr("being stopped"));
  EXPECT_EQ(store_.current()->release, one);
}

TEST_F(CanaryTest, ASupervisorThatIsKilledComesBackWithTheOldRelease) {
  const std::string one = add_release({"1.0.0"}), two = add_release({"2.0.0"});
  activate(one);
  start_and_wait();
  std::string ended;
  std::thread user([&] { ended = use_canary(store_, two, kLong); });
  ASSERT_TRUE(eventually([&] { return shares(); }));
  const pid_t supervisor = status_pid(store_, "supervisor_pid");
  const pid_t canary = nlohmann::json::parse(status_field(store_, "canary"))["pid"].get<pid_t>();
  ::kill(supervisor, SIGKILL);
  user.join();
  EXPECT_THAT(ended, HasSubstr("ended"));
  EXPECT_EQ(exit_code_of(supervisor), 1000 + SIGKILL);
  start_and_wait();
  EXPECT_FALSE(is_alive(canary));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(version_served(), "1.0.0");
  expect_unchanged(one, 1);
}

TEST_F(CanaryTest, TheReleaseInUseIsStartedAgainMeanwhile) {
  const std::string one = add_release({"1.0.0"}), two = add_release({"2.0.0"});
  activate(one);
  const std::string url = start_and_wait();
  std::string ended;
  std::thread user([&] { ended = use_canary(store_, two, {50, std::chrono::seconds(3)}); });
  ASSERT_TRUE(eventually([&] { return shares(); }));
  const pid_t old = status_pid(store_);
  ::kill(old, SIGKILL);
  EXPECT_TRUE(eventually([&] { return status_pid(store_) != old && status_field(store_, "ready") == "true"; }));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(get(url, "/"));
  user.join();
  EXPECT_EQ(ended, two);
}

TEST_F(CanaryTest, NeedsRoomForTwo) {
  activate(add_release({"1.0.0"}));
  start_and_wait();
  const std::string two = add_release({.version = "2.0.0", .swap = bundle::SwapMode::kReplace});
  try {
    use_running(store_, two, kLong);
    FAIL() << "it was started";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("no room for two"));
  }
  EXPECT_EQ(version_served(), "1.0.0");
}

TEST(RequestCountsTest, AddsUpWhatServicesCount) {
  const RequestCounts counts = count_requests(
      "# HELP holdall_http_requests_total code=\"500\"\n"
      "holdall_http_requests_total{route=\"/v1/images/edits\",method=\"POST\",code=\"200\"} 7\n"
      "holdall_http_requests_total{route=\"/v1/images/edits\",method=\"POST\",code=\"503\"} 2\n"
      "holdall_http_requests_total{route=\"/health\",method=\"GET\",code=\"503\"} 1000\n"
      "flask_http_requests_total{status=\"404\",path=\"/x\"} 3.0 1700000000000\n"
      "other_total{code=\"500\"} 9\nhttp_requests_total 9\nhttp_requests_total{code=\"500\"} NaN\n"
      "http_requests_total{mycode=\"500\"} 4\nbroken_requests_total{code=\"500\"");
  EXPECT_EQ(counts.requests, 12u);
  EXPECT_EQ(counts.errors, 2u);
}

TEST(JudgementTest, ComparesSharesOfErrors) {
  EXPECT_FALSE(fault_of({100, 0}, {0, 0}));
  EXPECT_FALSE(fault_of({4, 2}, {100, 0})) << "two errors may be chance";
  EXPECT_TRUE(fault_of({4, 3}, {100, 0}));
  EXPECT_FALSE(fault_of({4, 3}, {3, 0})) << "the other has not shown yet how it does";
  EXPECT_FALSE(fault_of({1000, 10}, {9000, 0})) << "one in a hundred is what a service may have";
  EXPECT_FALSE(fault_of({100, 20}, {900, 100})) << "not twice as many";
  EXPECT_TRUE(fault_of({100, 23}, {900, 100}));
  EXPECT_TRUE(final_fault_of({50, 1}, {100, 0}));
  EXPECT_TRUE(final_fault_of({kFewestRequests - 1, 0}, {1000, 0}));
  EXPECT_FALSE(final_fault_of({kFewestRequests, 0}, {1000, 0}));
}

}  // namespace
}  // namespace holdall::launcher::testing
