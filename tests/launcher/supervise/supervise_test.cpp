// One release from its start to its end: readiness, what the service is given, deaths, signals, stop.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "bundle/error.h"
#include "fixture.h"
#include "launcher/control_socket.h"
#include "launcher/listening_socket.h"

namespace holdall::launcher::testing {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(SuperviseTest, ServesOnceReadyAndRemembersThatTheGateWasPassed) {
  const Generation generation = activate(add_release({"1.0.0", {"ready_after_ms=30"}}));
  EXPECT_FALSE(store_.passed_gate(generation.number));
  start_and_wait();
  EXPECT_EQ(version_served(), "1.0.0");
  EXPECT_EQ(status_field(store_, "state"), "\"running\"");
  EXPECT_EQ(status_field(store_, "release"), "\"demo-1.0.0-0123456789ab\"");
  EXPECT_EQ(status_field(store_, "good"), "true");
  EXPECT_EQ(status_field(store_, "last_error"), "null");
  EXPECT_TRUE(store_.passed_gate(generation.number));
  EXPECT_EQ(store_.good()->number, generation.number);
}

TEST_F(SuperviseTest, GivesTheServiceItsSocketsByNameAndNothingElse) {
  activate(add_release({"1.0.0"}));
  const std::string url = start_and_wait();
  const std::string environment = get(url, "/environment").value();
  EXPECT_THAT(environment, HasSubstr("LISTEN_FDS=2\n"));
  EXPECT_THAT(environment, HasSubstr("LISTEN_FDNAMES=http:health\n"));
  EXPECT_THAT(environment, HasSubstr("LISTEN_PID=" + std::to_string(status_pid(store_)) + "\n"));
  EXPECT_THAT(environment, HasSubstr("NOTIFY_SOCKET=@"));
  EXPECT_THAT(environment, HasSubstr("FROM_BUNDLE=1.0.0\n"));
  EXPECT_THAT(environment, HasSubstr("CUDA_MODULE_LOADING=LAZY\n"));
  const std::string descriptors = get(url, "/descriptors").value();
  EXPECT_THAT(descriptors, HasSubstr("0 /dev/null\n"));
  EXPECT_THAT(descriptors, ContainsRegex("3 socket:"));
  EXPECT_THAT(descriptors, ContainsRegex("4 socket:"));
  EXPECT_THAT(descriptors, HasSubstr("5 " + store_.path() + "/releases/demo-1.0.0-0123456789ab/.lease"));
  EXPECT_THAT(descriptors, HasSubstr("6 " + store_.path() + "/supervisor"));
  // 7 and 8 are the connection and the folder that lists the descriptors.
  EXPECT_THAT(descriptors, Not(ContainsRegex("\n(9|1[0-9]) ")));
  EXPECT_THAT(get(status_field(store_, "health_url").substr(1, std::string::npos), "/").value_or(""),
              HasSubstr("1.0.0"));
}

TEST_F(SuperviseTest, StartsTheServiceWithoutNewPrivilegesInAGroupOfItsOwn) {
  activate(add_release({"1.0.0"}));
  const std::string process = get(start_and_wait(), "/process").value();
  EXPECT_THAT(process, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(process, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(process, HasSubstr("cwd " + store_.path() + "/releases/demo-1.0.0-0123456789ab/tree\n"));
  EXPECT_THAT(process, HasSubstr("state " + store_.path() + "/data\n"));
  EXPECT_EQ(::getpgid(status_pid(store_)), status_pid(store_));
}

TEST_F(SuperviseTest, SpendsATrialBeforeEachStartUntilTheGateIsPassed) {
  activate(add_release({"1.0.0", {"never_ready"}}));
  start_supervisor();
  ASSERT_TRUE(eventually([&] { return status_pid(store_) != 0; }));
  EXPECT_TRUE(std::filesystem::exists(store_.path() + "/state/trial.1+2-1"));
}

TEST_F(SuperviseTest, FailsWithTheReasonWhenTheFirstReleaseDoesNotBecomeReady) {
  activate(add_release({"1.0.0", {"status=model_digest_mismatch", "exit_before_ready=3"}}));
  EXPECT_EQ(exit_code_of(start_supervisor()), 9);
  EXPECT_THAT(log(), HasSubstr("exited with status 3: model_digest_mismatch"));
  EXPECT_EQ(status_field(store_, "state"), "\"failed\"");
  EXPECT_THAT(status_field(store_, "last_error"), HasSubstr("model_digest_mismatch"));
}

TEST_F(SuperviseTest, KillsWhatIsNotReadyInTime) {
  activate(add_release({"1.0.0", {"never_ready", "ignore_term"}}));
  options_.ready_timeout = std::chrono::milliseconds(100);
  EXPECT_EQ(exit_code_of(start_supervisor()), 9);
  EXPECT_THAT(log(), HasSubstr("was not ready within 0.1 s"));
}

TEST_F(SuperviseTest, SaysWhichProgramCannotBeStarted) {
  activate(add_release({.version = "1.0.0", .service = "absent"}));
  EXPECT_EQ(exit_code_of(start_supervisor()), 9);
  EXPECT_THAT(log(), HasSubstr("bin/absent"));
}

TEST_F(SuperviseTest, StartsTheLastGoodReleaseInsteadOfOneThatFails) {
  activate_good(add_release({"1.0.0"}));
  activate(add_release({"2.0.0", {"exit_before_ready=1"}}));
  start_and_wait();
  EXPECT_EQ(version_served(), "1.0.0");
  EXPECT_EQ(store_.current()->release, "demo-1.0.0-0123456789ab");
  EXPECT_THAT(status_field(store_, "last_error"), HasSubstr("demo-2.0.0"));
}

TEST_F(SuperviseTest, RestartsAServiceThatDies) {
  activate(add_release({"1.0.0"}));
  start_and_wait();
  for (int round = 0; round < 3; ++round) {
    const pid_t before = status_pid(store_);
    ASSERT_EQ(::kill(before, SIGKILL), 0);
    ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true" && status_pid(store_) != before; }));
    EXPECT_EQ(version_served(), "1.0.0");
  }
  EXPECT_THAT(status_field(store_, "last_error"), HasSubstr("killed by signal 9"));
  EXPECT_TRUE(store_.passed_gate(1));
}

TEST_F(SuperviseTest, KeepsTryingAGoodReleaseAndWaitsLongerEachTime) {
  const auto obstacle = root_ / "obstacle";
  activate(add_release({"1.0.0", {"fails_if=" + obstacle.string()}}));
  options_.first_back_off = std::chrono::milliseconds(10);
  options_.longest_back_off = std::chrono::milliseconds(40);
  options_.on_event = [&](const SupervisorEvent& event) {
    std::ofstream(root_ / "events", std::ios::app) << event.stage << '\n';
  };
  start_and_wait();
  std::ofstream(obstacle) << "x";
  ::kill(status_pid(store_), SIGKILL);
  const auto failures = [&] {
    std::ifstream file(root_ / "events");
    int count = 0;
    for (std::string line; std::getline(file, line);) count += line == "failed";
    return count;
  };
  ASSERT_TRUE(eventually([&] { return failures() >= 5; }));  // more than a trial has
  EXPECT_THAT(status_field(store_, "last_error"), HasSubstr("is in the way"));
  std::filesystem::remove(obstacle);
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
  EXPECT_EQ(version_served(), "1.0.0");
}

TEST_F(SuperviseTest, NoConnectionIsRefusedWhileTheServiceIsDead) {
  const auto obstacle = root_ / "obstacle";
  activate(add_release({"1.0.0", {"fails_if=" + obstacle.string()}}));
  const std::string url = start_and_wait();
  std::ofstream(obstacle) << "x";
  ::kill(status_pid(store_), SIGKILL);
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "false"; }));
  std::filesystem::remove(obstacle);
  EXPECT_THAT(get(url, "/").value_or("refused"), HasSubstr("1.0.0"));
}

TEST_F(SuperviseTest, StopsOnRequestAndLeavesNothingBehind) {
  activate(add_release({"1.0.0", {"drain_ms=50"}}));
  const pid_t supervisor = start_supervisor();
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
  const pid_t service = status_pid(store_);
  EXPECT_TRUE(stop_running(store_, std::nullopt));
  EXPECT_FALSE(is_alive(service));
  EXPECT_FALSE(std::filesystem::exists(store_.path() + "/control"));
  EXPECT_EQ(exit_code_of(supervisor), 0);
  EXPECT_EQ(status_field(store_, "state"), "\"stopped\"");
  EXPECT_FALSE(stop_running(store_, std::nullopt)) << "nothing runs any more";
}

TEST_F(SuperviseTest, StartsAgainRightAfterAStopOnTheSamePort) {
  activate(add_release({"1.0.0"}));
  service_.port = ListeningSocket("127.0.0.1", 0).port();
  for (int round = 0; round < 3; ++round) {
    start_and_wait();
    EXPECT_EQ(version_served(), "1.0.0");
    EXPECT_TRUE(stop_running(store_, std::nullopt));
  }
}

TEST_F(SuperviseTest, KillsAServiceThatIgnoresTheStopAfterItsTime) {
  activate(add_release({"1.0.0", {"ignore_term"}}));
  options_.drain_timeout = std::chrono::milliseconds(50);
  const pid_t supervisor = start_supervisor();
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
  const pid_t service = status_pid(store_);
  EXPECT_TRUE(stop_running(store_, std::nullopt));
  EXPECT_FALSE(is_alive(service));
  EXPECT_EQ(exit_code_of(supervisor), 0);
}

TEST_F(SuperviseTest, AStopWithATimeOverridesTheBundles) {
  activate(add_release({"1.0.0", {"ignore_term"}}));
  options_.drain_timeout = std::chrono::minutes(10);
  const pid_t supervisor = start_supervisor();
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
  EXPECT_TRUE(stop_running(store_, std::chrono::seconds(0)));
  EXPECT_EQ(exit_code_of(supervisor), 0);
}

TEST_F(SuperviseTest, DrainsAndReturns130OnCtrlCAnd0OnSigterm) {
  activate(add_release({"1.0.0", {"answer_ms=200"}}));
  for (const auto& [number, code] : std::map<int, int>{{SIGINT, 130}, {SIGTERM, 0}}) {
    const pid_t supervisor = start_supervisor();
    ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
    const pid_t service = status_pid(store_);
    ::kill(supervisor, number);
    EXPECT_EQ(exit_code_of(supervisor), code);
    EXPECT_FALSE(is_alive(service));
  }
}

TEST_F(SuperviseTest, ASecondSignalEndsAServiceThatDoesNotDrain) {
  activate(add_release({"1.0.0", {"ignore_term"}}));
  options_.drain_timeout = std::chrono::minutes(10);
  const pid_t supervisor = start_supervisor();
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
  const pid_t service = status_pid(store_);
  ::kill(supervisor, SIGTERM);
  ASSERT_TRUE(eventually([&] { return status_field(store_, "state") == "\"draining\""; }));
  ::kill(supervisor, SIGTERM);
  EXPECT_EQ(exit_code_of(supervisor), 130);
  EXPECT_FALSE(is_alive(service));
}

TEST_F(SuperviseTest, AnInterruptedStartIs130AndLeavesNoProcess) {
  activate(add_release({"1.0.0", {"never_ready"}}));
  const pid_t supervisor = start_supervisor();
  ASSERT_TRUE(eventually([&] { return status_pid(store_) != 0; }));
  const pid_t service = status_pid(store_);
  ::kill(supervisor, SIGINT);
  EXPECT_EQ(exit_code_of(supervisor), 130);
  EXPECT_FALSE(is_alive(service));
}

TEST_F(SuperviseTest, TheServiceOfAKilledSupervisorDrainsAndTheNextOneWaitsForIt) {
  activate(add_release({"1.0.0", {"drain_ms=200"}}));
  service_.port = ListeningSocket("127.0.0.1", 0).port();
  const pid_t supervisor = start_supervisor();
  ASSERT_TRUE(eventually([&] { return status_field(store_, "ready") == "true"; }));
  const pid_t orphan = status_pid(store_);
  ::kill(supervisor, SIGKILL);
  EXPECT_EQ(exit_code_of(supervisor), 1000 + SIGKILL);
  EXPECT_TRUE(is_alive(orphan));
  start_and_wait();
  EXPECT_FALSE(is_alive(orphan));
  EXPECT_EQ(version_served(), "1.0.0");
}

TEST_F(SuperviseTest, ASecondSupervisorIsRefusedWithTheFirstOnesPid) {
  activate(add_release({"1.0.0"}));
  start_and_wait();
  const pid_t first = status_pid(store_, "supervisor_pid");
  EXPECT_EQ(exit_code_of(start_supervisor()), 8);
  EXPECT_THAT(log(), HasSubstr("pid " + std::to_string(first)));
  EXPECT_EQ(version_served(), "1.0.0");
}

TEST_F(SuperviseTest, APortInUseIsRefusedBeforeATrialIsSpent) {
  activate(add_release({"1.0.0"}));
  const ListeningSocket taken("127.0.0.1", 0);
  service_.port = taken.port();
  EXPECT_EQ(exit_code_of(start_supervisor()), 8);
  EXPECT_THAT(log(), HasSubstr("port is in use"));
  EXPECT_TRUE(std::filesystem::exists(store_.path() + "/state/trial.1+3-0"));
}

TEST_F(SuperviseTest, NothingActiveIsNotFound) {
  EXPECT_EQ(exit_code_of(start_supervisor()), 7);
}

TEST_F(SuperviseTest, AnswersWhileOthersSendGarbageOrNothing) {
  activate(add_release({"1.0.0"}));
  start_and_wait();
  const auto silent = connect_control(store_.directory_fd());
  for (const std::string garbage :
       {"", "nonsense", "[]", "{\"command\":7}", "{\"command\":\"use\"}", "{\"command\":\"dance\"}",
        "{\"command\":\"stop\",\"timeout\":\"soon\"}", "{\"command\":\"use\",\"release\":\"../..\"}"}) {
    const auto answer = ask_supervisor(store_, garbage, std::chrono::seconds(5));
    EXPECT_THAT(answer.value_or(""), HasSubstr("\"error\"")) << garbage;
  }
  EXPECT_EQ(status_field(store_, "ready"), "true");
}

TEST_F(SuperviseTest, TheBackgroundSupervisorReturnsOnceReadyAndWritesALog) {
  activate(add_release({"1.0.0"}));
  const std::string url = supervise_detached(store_, service_, options_);
  EXPECT_THAT(get(url, "/").value_or("refused"), HasSubstr("1.0.0"));
  EXPECT_TRUE(std::filesystem::exists(store_.path() + "/logs/service.log"));
  const pid_t supervisor = status_pid(store_, "supervisor_pid");
  EXPECT_EQ(::getsid(supervisor), supervisor);
  EXPECT_TRUE(stop_running(store_, std::nullopt));
  int status = -1;
  EXPECT_EQ(::waitpid(supervisor, &status, 0), supervisor);
  EXPECT_EQ(status, 0);
}

TEST_F(SuperviseTest, TheBackgroundSupervisorReportsWhyTheStartFailed) {
  activate(add_release({"1.0.0", {"status=no such weights", "exit_before_ready=1"}}));
  try {
    supervise_detached(store_, service_, options_);
    FAIL() << "the start did not fail";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotReady);
    EXPECT_THAT(error.what(), HasSubstr("no such weights"));
  }
}

TEST_F(SuperviseTest, TheBackgroundSupervisorFailsTheStartAndServesTheLastGoodRelease) {
  activate_good(add_release({"1.0.0"}));
  activate(add_release({"2.0.0", {"exit_before_ready=1"}}));
  EXPECT_THROW(supervise_detached(store_, service_, options_), Error);
  EXPECT_EQ(version_served(), "1.0.0");
  EXPECT_TRUE(stop_running(store_, std::nullopt));
}

}  // namespace
}  // namespace holdall::launcher::testing
