#include "runtime/service/upstream/breaker.h"

#include <gtest/gtest.h>

namespace holdall::runtime::service {
namespace {

using State = Breaker::State;
using std::chrono::seconds;

const Clock::time_point kStart{};

TEST(BreakerTest, OpensAfterFailuresInARow) {
  Breaker breaker({3, seconds(30)});
  breaker.failed(kStart);
  breaker.failed(kStart);
  breaker.succeeded();
  breaker.failed(kStart);
  breaker.failed(kStart);
  EXPECT_EQ(breaker.state(kStart), State::kClosed);
  EXPECT_TRUE(breaker.try_pass(kStart));
  breaker.failed(kStart);
  EXPECT_EQ(breaker.state(kStart), State::kOpen);
  EXPECT_FALSE(breaker.try_pass(kStart + seconds(29)));
}

TEST(BreakerTest, LetsOneTrialThroughThatDecides) {
  Breaker breaker({1, seconds(30)});
  breaker.failed(kStart);
  EXPECT_EQ(breaker.state(kStart + seconds(30)), State::kHalfOpen);
  EXPECT_TRUE(breaker.try_pass(kStart + seconds(30)));
  EXPECT_FALSE(breaker.try_pass(kStart + seconds(31))) << "one is on its way";
  breaker.failed(kStart + seconds(40));
  EXPECT_FALSE(breaker.try_pass(kStart + seconds(69)));
  EXPECT_TRUE(breaker.try_pass(kStart + seconds(70)));
  breaker.succeeded();
  EXPECT_EQ(breaker.state(kStart + seconds(70)), State::kClosed);
  EXPECT_TRUE(breaker.try_pass(kStart + seconds(70)) && breaker.try_pass(kStart + seconds(70)));
}

TEST(BreakerTest, LetsAnotherTrialThroughWhereOneWasGivenUp) {
  Breaker breaker({1, seconds(30)});
  breaker.failed(kStart);
  EXPECT_TRUE(breaker.try_pass(kStart + seconds(30)));
  breaker.given_up();
  EXPECT_TRUE(breaker.would_pass(kStart + seconds(30)));
  EXPECT_TRUE(breaker.try_pass(kStart + seconds(30)));
}

}  // namespace
}  // namespace holdall::runtime::service
