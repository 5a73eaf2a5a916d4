#include "runtime/service/edits/watchdog.h"

#include <gtest/gtest.h>

namespace holdall::runtime::service {
namespace {

using std::chrono::seconds;

struct WatchdogTest : ::testing::Test {
  WatchdogTest() { dog.edit_sent(now); }
  void hear(seconds later, bool before_step) { dog.heard(now += later, before_step); }
  seconds patience() const { return std::chrono::duration_cast<seconds>(dog.deadline() - now); }

  Watchdog dog;
  Watchdog::Clock::time_point now{};
};

TEST_F(WatchdogTest, WaitsTenTimesTheMedianOfThisEditsSteps) {
  hear(seconds(3), true);
  for (const int step : {2, 2, 40, 2, 3}) hear(seconds(step), true);
  EXPECT_EQ(patience(), seconds(20)) << "one slow step does not change it";
}

TEST_F(WatchdogTest, GivesFastStepsTheTimeThatABusyMachineTakes) {
  hear(seconds(0), true);
  hear(seconds(0), true);
  EXPECT_EQ(patience(), Watchdog::kLeastForStep);
}

TEST_F(WatchdogTest, DoesNotJudgeOneEditByTheStepsOfAnother) {
  hear(seconds(1), true);
  for (int i = 0; i < 9; ++i) hear(seconds(1), true);
  EXPECT_EQ(patience(), seconds(10));
  dog.edit_sent(now);
  hear(seconds(1), true);  // the first step of pictures of another size
  EXPECT_EQ(patience(), Watchdog::kLeastForRest);
  hear(seconds(50), true);
  EXPECT_EQ(patience(), seconds(500));
}

TEST_F(WatchdogTest, WaitsLongForWhatItKnowsNothingOf) {
  EXPECT_EQ(patience(), Watchdog::kBeforeAnythingIsKnown);
  hear(seconds(1), false);
  EXPECT_EQ(patience(), Watchdog::kLeastForRest);
  hear(seconds(30), false);
  EXPECT_EQ(patience(), seconds(300));
  dog.edit_sent(now);
  EXPECT_EQ(patience(), seconds(300)) << "edits teach it";
}

TEST_F(WatchdogTest, TakesWhatFollowsTheLastStepForSomethingElse) {
  hear(seconds(1), true);
  hear(seconds(1), true);
  hear(seconds(1), false);
  EXPECT_EQ(patience(), Watchdog::kLeastForRest);
}

}  // namespace
}  // namespace holdall::runtime::service
