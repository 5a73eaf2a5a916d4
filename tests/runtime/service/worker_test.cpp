// The worker fails: what clients, probes and the exit code say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using ::testing::HasSubstr;

int starts(const Folder& model) {
  std::istringstream lines(model.read("log"));
  int count = 0;
  for (std::string line; std::getline(lines, line);) count += line == "started";
  return count;
}

TEST(Worker, ThatCrashesCostsItsRequestOnly) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  Client client(service.port()), waiting(service.port());
  client.send(edit("crash"));
  waiting.send(edit("p"));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 500);
  EXPECT_EQ(reply->error()["code"], "worker_crashed");
  EXPECT_THAT(reply->error()["message"].get<std::string>(),
              HasSubstr("signal 9 (Killed), as the kernel does where memory runs out"));
  EXPECT_EQ(reply->headers.at("x-should-retry"), "false");
  service.wait_ready();
  EXPECT_EQ(service.ask(edit("p")).status, 200);
  EXPECT_EQ(service.metric("holdall_worker_restarts_total{reason=\"crashed\"}"), 1);
  // The other one either waited for the new worker or was told to come back.
  const auto other = waiting.read_reply();
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->status == 200 || other->status == 503) << other->body;
}

TEST(Worker, ThatHangsIsReplaced) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  Client client(service.port());
  client.send(edit("stop"));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 500);
  EXPECT_EQ(reply->error()["code"], "worker_crashed");
  EXPECT_THAT(reply->error()["message"].get<std::string>(), HasSubstr("it hung"));
  EXPECT_EQ(reply->headers.at("x-should-retry"), "false");
  service.wait_ready();
  EXPECT_EQ(service.ask(edit("p")).status, 200);
}

TEST(Worker, ThatExitsOrSpeaksNonsenseIsReplaced) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  for (const char* prompt : {"exit 3", "garbage"}) {
    const Reply reply = service.ask(edit(prompt));
    EXPECT_EQ(reply.status, 500) << prompt;
    EXPECT_EQ(reply.error()["code"], "worker_crashed");
    service.wait_ready();
  }
  EXPECT_EQ(starts(model), 3);
  EXPECT_EQ(service.ask(edit("p")).status, 200);
}

TEST(Worker, BeingRestartedAnswers503WithAReason) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  model.write("wait");
  service.ask(edit("crash"));
  ASSERT_TRUE(eventually([&] { return starts(model) == 2; }));
  const Reply probe = service.probe("/readyz");
  EXPECT_EQ(probe.status, 503);
  EXPECT_EQ(probe.json()["reason"], "worker_restarting");
  EXPECT_EQ(service.probe("/livez").status, 200);
  EXPECT_EQ(service.probe("/startupz").status, 200);
  const Reply refused = service.ask(edit("p"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.error()["code"], "worker_restarting");
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  model.write("go");
  service.wait_ready();
  EXPECT_EQ(service.ask(edit("p")).status, 200);
}

TEST(Worker, ThatIsKilledWhileRequestsWaitLosesNoneOfThem) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  Client running(service.port()), waiting(service.port());
  running.send(edit("hold " + (model / "never").string()));
  ASSERT_TRUE(eventually([&] { return model.read("log").find("edit 1.0") != std::string::npos; }));
  waiting.send(edit("p"));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_queue_depth ") == 1; }));
  // The worker is the service's only child.
  std::string children =
      "/proc/" + std::to_string(service.pid()) + "/task/" + std::to_string(service.pid()) + "/children";
  FILE* file = std::fopen(children.c_str(), "r");
  ASSERT_TRUE(file);
  int worker = 0;
  ASSERT_EQ(std::fscanf(file, "%d", &worker), 1);
  std::fclose(file);
  ::kill(worker, SIGKILL);
  EXPECT_EQ(running.read_reply()->status, 500);
  EXPECT_EQ(waiting.read_reply()->status, 200);
}

TEST(Worker, ThatCannotLoadItsModelEndsTheServiceWithItsReason) {
  const std::pair<const char*, int> kinds[] = {{"bad_model", 3}, {"not_found", 7}, {"storage", 6}, {"internal", 1}};
  for (const auto& [kind, code] : kinds) {
    Folder model;
    model.write("fatal", kind);
    ServiceProcess service(model);
    EXPECT_EQ(service.wait_exit(), code) << kind;
    EXPECT_THAT(service.log(), HasSubstr("holdall-edit: cannot load 'fake': no class 'Unknown'"));
    EXPECT_EQ(starts(model), 1);
  }
}

TEST(Worker, ThatNeverComesUpIsGivenUp) {
  Folder model;
  model.write("dies");
  ServiceProcess service(model);
  EXPECT_EQ(service.wait_exit(), 1);
  EXPECT_EQ(starts(model), 3);
  EXPECT_THAT(service.log(), HasSubstr("the worker never became ready: exited with status 1"));
}

TEST(Worker, ThatIsMissingIsNamed) {
  Folder model;
  ServiceProcess service(model, {"--worker", (model / "none").string()});
  EXPECT_EQ(service.wait_exit(), 7);
  EXPECT_THAT(service.log(), HasSubstr("cannot start the worker '" + (model / "none").string() + "'"));
}

TEST(Worker, DiesWithItsService) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  Client client(service.port());
  client.send(edit("hold " + (model / "never").string()));
  ASSERT_TRUE(eventually([&] { return model.read("log").find("edit 1.0") != std::string::npos; }));
  const std::string children =
      "/proc/" + std::to_string(service.pid()) + "/task/" + std::to_string(service.pid()) + "/children";
  FILE* file = std::fopen(children.c_str(), "r");
  ASSERT_TRUE(file);
  int worker = 0;
  ASSERT_EQ(std::fscanf(file, "%d", &worker), 1);
  std::fclose(file);
  service.signal(SIGKILL);
  service.wait_exit();
  EXPECT_TRUE(eventually(
      [&] { return !std::filesystem::exists("/proc/" + std::to_string(worker) + "/exe") || ::kill(worker, 0) != 0; }));
}

}  // namespace
}  // namespace holdall::runtime::service::testing
