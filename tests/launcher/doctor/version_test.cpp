#include "launcher/doctor/version.h"

#include <gtest/gtest.h>

namespace holdall::launcher {
namespace {

TEST(Version, ComparesNumericallyPerComponent) {
  EXPECT_TRUE(version_less("535.54.03", "535.104.05"));
  EXPECT_TRUE(version_less("2.9", "2.34"));
  EXPECT_FALSE(version_less("570.124.06", "570.26"));
  EXPECT_FALSE(version_less("580.65.06", "580.65.6"));
  EXPECT_FALSE(version_less("12", "12.0"));
  EXPECT_TRUE(version_less("12", "12.0.1"));
}

TEST(Version, RefusesWhatIsNoVersion) {
  for (const char* text : {"", ".", "1.", ".1", "1..2", "1.x", "v1", "1 ", "-1", "1234567890", "1.2.3.4.5.6.7"})
    EXPECT_FALSE(parse_version(text)) << text;
  ASSERT_TRUE(parse_version("999999999.0"));
}

TEST(Version, FindsTheDriverInBothFormsOfTheKernelsReport) {
  EXPECT_EQ(find_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.288.01  Wed Jan 1 12:00:00 UTC 2025\n"),
            "535.288.01");
  EXPECT_EQ(find_version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"),
            "580.65.06");
  EXPECT_EQ(find_version("NVRM version: none 12\n"), std::nullopt);
  EXPECT_EQ(find_version(""), std::nullopt);
}

}  // namespace
}  // namespace holdall::launcher
