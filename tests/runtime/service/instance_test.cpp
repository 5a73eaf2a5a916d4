#include "runtime/service/jobs/instance.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "harness.h"

namespace holdall::runtime::service {
namespace {

TEST(Instance, IsAliveUntilItEnds) {
  const testing::Folder folder;
  std::optional<Instance> other(folder.path());
  const Instance ours(folder.path());
  const std::string name = other->name();
  EXPECT_NE(name, ours.name());
  EXPECT_TRUE(ours.alive(name));
  EXPECT_TRUE(ours.alive(ours.name()));
  other.reset();
  EXPECT_FALSE(ours.alive(name));
  EXPECT_FALSE(ours.alive("never-was"));
}

TEST(Instance, IsDeadOnceItIsKilled) {
  const testing::Folder folder;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const Instance instance(folder.path());
    if (::write(pipe[1], instance.name().data(), instance.name().size()) > 0) ::pause();
    ::_exit(0);
  }
  char text[64];
  const auto size = ::read(pipe[0], text, sizeof text);
  ASSERT_GT(size, 0);
  const std::string name(text, static_cast<std::size_t>(size));
  {
    const Instance ours(folder.path());
    EXPECT_TRUE(ours.alive(name));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_FALSE(ours.alive(name));
  }
  ::close(pipe[0]);
  ::close(pipe[1]);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing is left behind";
}

}  // namespace
}  // namespace holdall::runtime::service
