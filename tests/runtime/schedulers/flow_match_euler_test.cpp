#include "runtime/schedulers/flow_match_euler.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::schedulers {
namespace {

class FlowMatchEulerTest : public ::testing::Test {
 protected:
  FlowMatchEuler load(const std::string& fields) {
    folder_.write("scheduler_config.json", R"({"_class_name": "FlowMatchEulerDiscreteScheduler")" + fields + "}");
    return FlowMatchEuler::load(folder_.path());
  }
  tests::TemporaryFolder folder_;
};

const std::string kReleased = R"(, "base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 8192,
  "max_shift": 0.9, "shift_terminal": 0.02, "time_shift_type": "exponential", "use_dynamic_shifting": true)";
// The eight-step distillations: base_shift = max_shift = ln 3, no terminal.
const std::string kLightning = R"(, "base_shift": 1.0986122886681098, "max_shift": 1.0986122886681098,
  "shift_terminal": null, "use_dynamic_shifting": true)";

void expect_sigmas(const Schedule& schedule, const std::vector<float>& expected) {
  ASSERT_EQ(schedule.sigmas.size(0), static_cast<std::int64_t>(expected.size()));
  EXPECT_EQ(schedule.steps(), static_cast<int>(expected.size()) - 1);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(schedule.sigmas[static_cast<std::int64_t>(i)].item<float>(), expected[i], 1e-6) << i;
}

TEST_F(FlowMatchEulerTest, GivesTheReleasedScheduleOfFourSteps) {
  expect_sigmas(load(kReleased).schedule(4, 4096), {1, .766709f, .455614f, .02f, 0});
}

TEST_F(FlowMatchEulerTest, GivesTheDistilledScheduleOfFourSteps) {
  expect_sigmas(load(kLightning).schedule(4, 4096), {1, .9f, .75f, .5f, 0});
}

TEST_F(FlowMatchEulerTest, ShiftsStaticallyWithoutDynamicShifting) {
  expect_sigmas(load(R"(, "shift": 3.0)").schedule(2, 4096), {1, .75f, 0});
}

TEST_F(FlowMatchEulerTest, GoesStraightToZeroInOneStep) {
  expect_sigmas(load(kReleased).schedule(1, 4096), {1, 0});
}

TEST_F(FlowMatchEulerTest, ExecutesTimestepsOfAllSigmasButTheLast) {
  const auto schedule = load(kReleased).schedule(3, 100);
  EXPECT_TRUE(schedule.timesteps.equal(schedule.sigmas.slice(0, 0, 3) * 1000));
}

TEST_F(FlowMatchEulerTest, StepsAlongTheOutput) {
  const auto schedule = load(kLightning).schedule(4, 4096);
  const auto next = FlowMatchEuler::step(schedule, 1, at::full({1, 2}, 2.0f), at::ones({1, 2}));
  EXPECT_NEAR(next[0][0].item<float>(), 1 + 2 * (.75f - .9f), 1e-6);
  const auto half = FlowMatchEuler::step(schedule, 1, at::ones({2}, at::kBFloat16), at::ones({2}));
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
}

TEST_F(FlowMatchEulerTest, RefusesWhatItDoesNotCompute) {
  for (const char* flag : {"invert_sigmas", "stochastic_sampling", "use_karras_sigmas", "use_beta_sigmas"})
    EXPECT_REFUSAL(load(std::string(", \"") + flag + "\": true"), kBadModel, flag, "not supported");
  EXPECT_REFUSAL(load(R"(, "use_dynamic_shifting": true, "time_shift_type": "cubic")"), kBadModel, "'cubic'");
  EXPECT_REFUSAL(load(R"(, "shift_terminal": 1.5)"), kBadModel, "/shift_terminal");
  EXPECT_REFUSAL(load(R"(, "max_image_seq_len": 256)"), kBadModel, "/max_image_seq_len");
}

TEST_F(FlowMatchEulerTest, RefusesAnotherSchedulerByName) {
  folder_.write("scheduler_config.json", R"({"_class_name": "DDIMScheduler"})");
  EXPECT_REFUSAL(FlowMatchEuler::load(folder_.path()), kBadModel, "'DDIMScheduler'");
}

}  // namespace
}  // namespace holdall::runtime::schedulers
