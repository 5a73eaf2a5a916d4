#include "packer/in_parallel.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bundle/error.h"
#include "packer/interrupt.h"

namespace holdall::packer {
namespace {

TEST(InParallel, DoesEachOnce) {
  for (const unsigned threads : {0U, 1U, 3U, 8U}) {
    std::vector<std::atomic<int>> done(1000);
    in_parallel(done.size(), threads, [&](std::size_t i) { ++done[i]; });
    EXPECT_TRUE(std::ranges::all_of(done, [](int times) { return times == 1; })) << threads;
  }
  in_parallel(0, 0, [](std::size_t) { FAIL(); });
}

TEST(InParallel, StaysInTheCallersThreadIfThereIsToBeOne) {
  const auto here = std::this_thread::get_id();
  in_parallel(50, 1, [&](std::size_t) { EXPECT_EQ(std::this_thread::get_id(), here); });
}

TEST(InParallel, EndsWithTheFirstFailure) {
  std::atomic<int> begun{0};
  EXPECT_THROW(in_parallel(100'000, 4,
                           [&](std::size_t) {
                             ++begun;
                             throw std::runtime_error("no");
                           }),
               std::runtime_error);
  EXPECT_LE(begun, 4);
}

// A signal can be taken from the kernel only once, and each thread must learn of it.
TEST(Interrupt, IsToldAgainAndInEveryThread) {
  const Interrupt interrupt;
  interrupt.check();
  ::kill(::getpid(), SIGINT);
  const auto kind = [&] {
    try {
      interrupt.check();
      return bundle::ErrorKind::kInternal;
    } catch (const bundle::Error& error) {
      return error.kind();
    }
  };
  bundle::ErrorKind elsewhere{};
  std::thread([&] { elsewhere = kind(); }).join();
  EXPECT_EQ(elsewhere, bundle::ErrorKind::kInterrupted);
  EXPECT_EQ(kind(), bundle::ErrorKind::kInterrupted);
}

}  // namespace
}  // namespace holdall::packer
