#include "launcher/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "captured_host.h"

namespace holdall::launcher {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Host, FollowsAbsoluteLinksInsideTheSysroot) {
  test::CapturedHost captured;
  captured.write("/etc/passwd", "captured");
  captured.link("/link", "/etc/passwd");
  const Host host(captured.root());
  EXPECT_EQ(host.real_path("/link"), "/etc/passwd");
  EXPECT_EQ(host.read("/link"), "captured");
}

TEST(Host, NeverLeavesTheSysrootByDots) {
  test::CapturedHost captured;
  captured.write("/etc/passwd", "captured");
  captured.link("/a/up", "../../../../../../../../etc/passwd");
  const Host host(captured.root());
  EXPECT_EQ(host.read("/a/up"), "captured");
  EXPECT_EQ(host.read("/../../../../../etc/passwd"), "captured");
  captured.link("/a/out", captured.root() + "/etc/passwd");
  EXPECT_FALSE(host.read("/a/out"));
}

TEST(Host, AnswersCirclesAndDanglingLinksWithAbsence) {
  test::CapturedHost captured;
  captured.link("/a", "b");
  captured.link("/b", "a");
  captured.link("/self", "self/self");
  captured.link("/gone", "/nowhere");
  const Host host(captured.root());
  for (const char* path : {"/a", "/self", "/gone", "/a/b/c"}) {
    EXPECT_FALSE(host.exists(path)) << path;
    EXPECT_FALSE(host.read(path)) << path;
    EXPECT_THAT(host.list(path), IsEmpty()) << path;
    EXPECT_NE(host.open_error(path), 0) << path;
  }
}

TEST(Host, ReadsNoMoreThanTheLimit) {
  test::CapturedHost captured;
  captured.write("/big", std::string(300'000, 'x'));
  const Host host(captured.root());
  EXPECT_EQ(host.read("/big", 1000)->size(), 1000u);
  EXPECT_EQ(host.read("/big", 200'000)->size(), 200'000u);
  EXPECT_EQ(host.read("/big", 1 << 20)->size(), 300'000u);
}

TEST(Host, DoesNotBlockOnAFifo) {
  test::CapturedHost captured;
  ASSERT_EQ(::mkfifo(captured.path("/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(Host(captured.root()).read("/fifo"));
}

TEST(Host, ListsSortedNamesAndNamesLinkTargets) {
  test::CapturedHost captured;
  captured.write("/d/b", "");
  captured.write("/d/a", "");
  captured.link("/d/driver", "../../bus/pci/drivers/nouveau");
  const Host host(captured.root() + "/");
  EXPECT_THAT(host.list("/d"), ElementsAre("a", "b", "driver"));
  EXPECT_EQ(host.link_name("/d/driver"), "nouveau");
  EXPECT_EQ(host.link_name("/d/a"), std::nullopt);
}

TEST(Host, TellsAbsenceFromAnOpenNode) {
  test::CapturedHost captured;
  captured.write("/dev/nvidia0", "");
  const Host host(captured.root());
  EXPECT_EQ(host.open_error("/dev/nvidia0"), 0);
  EXPECT_EQ(host.open_error("/dev/nvidia1"), ENOENT);
}

TEST(Host, IsThisMachineWithoutASysroot) {
  const Host host;
  EXPECT_FALSE(host.captured());
  EXPECT_FALSE(Host("/").captured());
  EXPECT_TRUE(host.exists("/proc"));
}

}  // namespace
}  // namespace holdall::launcher
