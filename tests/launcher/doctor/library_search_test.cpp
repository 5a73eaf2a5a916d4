#include "launcher/doctor/library_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <utility>

#include "captured_host.h"

namespace holdall::launcher {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Entries = std::vector<std::pair<std::string, std::string>>;

void put32(std::string& out, std::uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// As ldconfig writes it: see library_search.cpp.
std::string cache_of(const Entries& entries) {
  std::string strings, table;
  const auto base = static_cast<std::uint32_t>(48 + 24 * entries.size());
  for (const auto& [name, path] : entries) {
    put32(table, 0x0303);
    put32(table, base + static_cast<std::uint32_t>(strings.size()));
    strings += name + '\0';
    put32(table, base + static_cast<std::uint32_t>(strings.size()));
    strings += path + '\0';
    table += std::string(12, '\0');
  }
  std::string cache = "glibc-ld.so.cache1.1";
  put32(cache, static_cast<std::uint32_t>(entries.size()));
  put32(cache, static_cast<std::uint32_t>(strings.size()));
  return cache + std::string(20, '\0') + table + strings;
}

TEST(LoaderCache, GivesTheFilesOfAName) {
  const std::string cache = cache_of(
      {{"libc.so.6", "/lib/libc.so.6"}, {"libcuda.so.1", "/a/libcuda.so.1"}, {"libcuda.so.1", "/b/libcuda.so.1"}});
  EXPECT_THAT(cached_libraries(cache, "libcuda.so.1"), ElementsAre("/a/libcuda.so.1", "/b/libcuda.so.1"));
  EXPECT_THAT(cached_libraries(cache, "libcuda.so"), IsEmpty());
}

TEST(LoaderCache, MayStandBehindTheOldFormat) {
  const std::string cache = "ld.so-1.7.0" + std::string(37, '\0') + cache_of({{"x", "/x"}});
  EXPECT_THAT(cached_libraries(cache, "x"), ElementsAre("/x"));
}

TEST(LoaderCache, SurvivesEveryTruncationAndEveryBrokenByte) {
  const std::string cache = cache_of({{"x", "/x"}, {"x", "/y"}});
  for (std::size_t size = 0; size < cache.size(); ++size)
    EXPECT_LT(cached_libraries(cache.substr(0, size), "x").size(), 2u);
  for (std::size_t at = 0; at < cache.size(); ++at) {
    std::string broken = cache;
    broken[at] = static_cast<char>(0xff);
    EXPECT_LE(cached_libraries(broken, "x").size(), 2u);
  }
  EXPECT_THAT(cached_libraries(std::string(100'000, '\xff'), "x"), IsEmpty());
}

TEST(LoaderCache, OfThisMachineNamesItsLibc) {
  const auto cache = Host().read("/etc/ld.so.cache", 64u << 20);
  if (!cache) GTEST_SKIP() << "this machine has no loader cache";
  EXPECT_FALSE(cached_libraries(*cache, "libc.so.6").empty());
}

TEST(LibrarySearch, PrefersTheCacheAndGivesEachRealFileOnce) {
  test::CapturedHost captured;
  captured.write("/opt/driver/libcuda.so.1", "");
  captured.write("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "");
  captured.link("/usr/lib64", "lib/x86_64-linux-gnu");
  captured.write("/etc/ld.so.cache",
                 cache_of({{"libcuda.so.1", "/gone/libcuda.so.1"}, {"libcuda.so.1", "/opt/driver/libcuda.so.1"}}));
  EXPECT_THAT(find_library(Host(captured.root()), "libcuda.so.1"),
              ElementsAre("/opt/driver/libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1"));
}

TEST(LibrarySearch, GoesOnBehindAGarbageCache) {
  test::CapturedHost captured;
  captured.write("/etc/ld.so.cache", std::string(5000, '\xfe'));
  captured.write("/run/opengl-driver/lib/libcuda.so.1", "");
  EXPECT_THAT(find_library(Host(captured.root()), "libcuda.so.1", {"/run/opengl-driver/lib"}),
              ElementsAre("/run/opengl-driver/lib/libcuda.so.1"));
}

}  // namespace
}  // namespace holdall::launcher
