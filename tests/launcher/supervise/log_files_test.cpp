#include "launcher/log_files.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <sstream>

#include "fixture.h"

namespace holdall::launcher::testing {
namespace {

using ::testing::HasSubstr;

class LogFilesTest : public SuperviseTest {
 protected:
  std::string text_of(const std::string& name) const {
    std::ifstream file(store_.path() + "/logs/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string all() const { return text_of("service.log.2") + text_of("service.log.1") + text_of("service.log"); }
  static std::string line(int number) { return "line " + std::to_string(1000 + number) + "\n"; }  // 10 bytes
};

TEST_F(LogFilesTest, ANewFileIsBegunBetweenLinesAndSoManyAreKept) {
  LogFile log(store_.directory_fd(), {95, 2});
  std::string last, block;
  for (int number = 0; number < 100; ++number) {
    // In blocks of any size: their ends have nothing to do with the lines'.
    block += line(number);
    const std::size_t size = static_cast<std::size_t>(number) % 13;
    log.append(std::string_view(block).substr(0, size));
    block.erase(0, size);
    last += line(number);
  }
  log.append(block);
  for (const char* name : {"service.log", "service.log.1", "service.log.2"}) {
    EXPECT_LE(text_of(name).size(), 95u) << name;
    EXPECT_EQ(text_of(name).size() % 10, 0u) << "a line was cut: " << name;
  }
  EXPECT_FALSE(std::filesystem::exists(store_.path() + "/logs/service.log.3"));
  EXPECT_GE(all().size(), 190u);
  EXPECT_EQ(all(), last.substr(last.size() - all().size()));
}

TEST_F(LogFilesTest, OneBlockMayFillManyFiles) {
  std::string block;
  for (int number = 0; number < 100; ++number) block += line(number);
  LogFile(store_.directory_fd(), {50, 2}).append(block);
  EXPECT_EQ(all(), block.substr(block.size() - 150)) << "three files of five lines";
}

TEST_F(LogFilesTest, ALineWithoutAnEndIsBounded) {
  LogFile log(store_.directory_fd(), {100, 1});
  for (int round = 0; round < 100; ++round) log.append(std::string(50, 'x'));
  EXPECT_LE(text_of("service.log").size(), 200u);
  EXPECT_LE(text_of("service.log.1").size(), 200u);
}

TEST_F(LogFilesTest, WithoutOlderFilesTheNewestBeginsAnew) {
  LogFile log(store_.directory_fd(), {20, 0});
  for (int number = 0; number < 5; ++number) log.append(line(number));
  EXPECT_FALSE(std::filesystem::exists(store_.path() + "/logs/service.log.1"));
  EXPECT_LE(text_of("service.log").size(), 20u);
}

TEST_F(LogFilesTest, TwoWritersLoseNothingOfEachOther) {
  LogFile one(store_.directory_fd(), {100, 2}), other(store_.directory_fd(), {100, 2});
  std::string wanted;
  for (int number = 0; number < 24; ++number) {
    (number % 3 == 0 ? other : one).append(line(number));
    wanted += line(number);
  }
  EXPECT_EQ(all().size(), wanted.size());
  for (int number = 0; number < 24; ++number) EXPECT_THAT(all(), HasSubstr(line(number)));
}

TEST_F(LogFilesTest, AReaderGetsTheFilesNewestFirst) {
  LogFile log(store_.directory_fd(), {10, 2});
  for (int number = 0; number < 3; ++number) log.append(line(number));
  const auto parts = open_log(store_.directory_fd());
  ASSERT_EQ(parts.size(), 3u);
  std::string first(10, ' ');
  EXPECT_EQ(::pread(parts[2].file.get(), first.data(), 10, 0), 10);
  EXPECT_EQ(first, line(0));
}

// The process that writes the log of a supervisor in the background: its one child beside the service.
pid_t writer_of(pid_t supervisor, pid_t service) {
  std::ifstream children("/proc/" + std::to_string(supervisor) + "/task/" + std::to_string(supervisor) + "/children");
  for (pid_t child = 0; children >> child;)
    if (child != service && is_alive(child)) return child;
  return 0;
}

TEST_F(LogFilesTest, TheWriterIsStartedAgainAndHoldsNothingOfTheLaunchers) {
  activate(add_release({"1.0.0"}));
  options_.on_event = [](const SupervisorEvent& event) { std::cerr << event.stage << ": " << event.release << "\n"; };
  supervise_detached(store_, service_, options_);
  const pid_t supervisor = status_pid(store_, "supervisor_pid"), service = status_pid(store_);
  const pid_t writer = writer_of(supervisor, service);
  ASSERT_NE(writer, 0) << "no /proc/PID/children, or no writer";
  ASSERT_EQ(::kill(writer, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] {
    const pid_t now = writer_of(supervisor, service);
    return now != 0 && now != writer;
  }));
  const pid_t second = writer_of(supervisor, service);
  EXPECT_TRUE(eventually([&] {  // it closes them first of all
    const auto folder = std::filesystem::directory_iterator("/proc/" + std::to_string(second) + "/fd");
    return std::distance(begin(folder), end(folder)) == 5;
  })) << "0 to 2, the store, the log";
  ::kill(service, SIGKILL);
  EXPECT_TRUE(eventually([&] { return text_of("service.log").find("died: demo-1.0.0") != std::string::npos; }));

  // It ends with the last that can write to it.
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
  EXPECT_TRUE(stop_running(store_, std::nullopt));
  int status = -1;
  EXPECT_EQ(::waitpid(supervisor, &status, 0), supervisor);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(eventually([&] { return !is_alive(second); }));
}

TEST_F(LogFilesTest, AServiceGoesOnAndIsHeardAfterItsSupervisorWasKilled) {
  activate(add_release({"1.0.0", {"drain_ms=300"}}));
  supervise_detached(store_, service_, options_);
  const pid_t supervisor = status_pid(store_, "supervisor_pid"), service = status_pid(store_);
  const pid_t writer = writer_of(supervisor, service);
  ::kill(supervisor, SIGKILL);
  int status = -1;
  EXPECT_EQ(::waitpid(supervisor, &status, 0), supervisor);
  EXPECT_TRUE(is_alive(service)) << "it drains";
  EXPECT_TRUE(is_alive(writer));
  EXPECT_TRUE(eventually([&] { return !is_alive(service) && !is_alive(writer); }));
}

}  // namespace
}  // namespace holdall::launcher::testing
