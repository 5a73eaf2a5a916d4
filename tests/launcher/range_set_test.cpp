// RangeSet against one flag for each byte.
#include "launcher/fetch/range_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace holdall::launcher {
namespace {

constexpr std::size_t kSize = 48;

TEST(RangeSet, SaysWhatAFlagForEachByteSays) {
  std::mt19937 random(1);
  const auto range = [&] {
    const std::uint64_t a = random() % (kSize + 1), b = random() % (kSize + 1);
    return ByteRange{std::min(a, b), std::max(a, b)};
  };
  for (int round = 0; round < 200; ++round) {
    RangeSet set;
    std::array<bool, kSize> flags{};
    for (int step = 0; step < 40; ++step) {
      const ByteRange changed = range(), asked = range();
      const bool adds = random() % 3 != 0;
      for (std::uint64_t i = changed.begin; i < changed.end; ++i) flags[i] = adds;
      if (adds)
        set.add(changed);
      else
        set.remove(changed);

      std::uint64_t begin = asked.begin;
      while (begin < asked.end && flags[begin]) ++begin;
      std::uint64_t end = begin;
      while (end < asked.end && !flags[end]) ++end;
      const auto missing = set.missing(asked);
      ASSERT_EQ(missing.has_value(), begin < end);
      if (missing) {
        EXPECT_EQ(missing->begin, begin);
        EXPECT_EQ(missing->end, end);
      }
      if (asked.begin < asked.end) {
        EXPECT_EQ(set.holds(asked), begin == asked.end);
      }
    }
  }
}

}  // namespace
}  // namespace holdall::launcher
