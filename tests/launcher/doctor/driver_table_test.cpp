#include "launcher/doctor/driver_table.h"

#include <gtest/gtest.h>

namespace holdall::launcher {
namespace {

TEST(DriverTable, KnowsTheFloorOfEachMajor) {
  EXPECT_EQ(driver_floor(11), "450.80.02");
  EXPECT_EQ(driver_floor(12), "525.60.13");
  EXPECT_EQ(driver_floor(13), "580.65.06");
  EXPECT_EQ(driver_floor(10), std::nullopt);
  EXPECT_EQ(driver_floor(14), std::nullopt);
  EXPECT_EQ(newest_driver_floor(), "580.65.06");
}

TEST(DriverTable, FindsTheCudaOfADriverBetweenTwoReleases) {
  EXPECT_EQ(cuda_of_driver("535.288.01"), "12.2");
  EXPECT_EQ(cuda_of_driver("550.54.14"), "12.4");
  EXPECT_EQ(cuda_of_driver("550.54.13"), "12.3");
  EXPECT_EQ(cuda_of_driver("565.57.01"), "12.7");
  EXPECT_EQ(cuda_of_driver("570.26"), "12.8");
  EXPECT_EQ(cuda_of_driver("900.1"), "13.2");
  EXPECT_EQ(cuda_of_driver("390.1"), std::nullopt);
  EXPECT_EQ(cuda_of_driver("garbage"), std::nullopt);
}

TEST(DriverTable, MapsPtxToTheCudaThatKnowsIt) {
  EXPECT_EQ(cuda_of_ptx("7.8"), "11.8");
  EXPECT_EQ(cuda_of_ptx("8.5"), "12.5");
  EXPECT_EQ(cuda_of_ptx("8.6"), "12.7");
  EXPECT_EQ(cuda_of_ptx("9.2"), "13.2");
  EXPECT_EQ(cuda_of_ptx("9.9"), std::nullopt);
}

TEST(DriverTable, EveryPtxHasADriver) {
  for (const char* isa : {"7.0", "8.0", "8.6", "8.8", "9.0", "9.1", "9.2"}) {
    const auto cuda = cuda_of_ptx(isa);
    ASSERT_TRUE(cuda) << isa;
    EXPECT_EQ(cuda_of_driver(first_driver(*cuda).value_or("")), cuda) << isa;
  }
}

}  // namespace
}  // namespace holdall::launcher
