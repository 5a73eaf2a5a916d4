// Keys, limits, the content policy and the audit log as clients and operators meet them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using ::testing::HasSubstr;

// Runs `holdall-edit keys …` and gives back its output.
std::string keys(const std::string& arguments, const std::filesystem::path& file) {
  const std::string command = std::string(HOLDALL_EDIT) + " keys " + arguments + " --keys " + file.string() + " 2>&1";
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[256];
  while (std::fgets(buffer, sizeof buffer, pipe)) text += buffer;
  ::pclose(pipe);
  return text;
}

std::string new_key(const std::string& arguments, const std::filesystem::path& file) {
  return keys("add " + arguments, file).substr(0, 67);
}

std::string bearer(const std::string& key) {
  return "Authorization: Bearer " + key + "\r\n";
}

class KeyedService : public ::testing::Test {
 protected:
  void SetUp() override { service.wait_ready(); }

  Folder model, state;
  const std::filesystem::path file = state / "keys.json";
  const std::string viewer = new_key("--name v --role viewer", file), editor = new_key("--name e", file),
                    rare = new_key("--name r --qps 0.01 --daily-quota 5", file);
  ServiceProcess service{model,
                         {"--keys", file.string(), "--state", state.path().string(), "--config",
                          (state.write("config.json", R"({"policy":{"blocked_words":["gun","裸体"]}})"),
                           (state / "config.json").string())}};
};

TEST_F(KeyedService, AsksEveryCallerForAKey) {
  for (const std::string& asked : {request("GET", "/v1/models"), edit("p"), request("GET", "/metrics"),
                                   request("GET", "/v1/models", "", "", bearer("hk-wrong"))}) {
    const Reply reply = service.ask(asked);
    EXPECT_EQ(reply.status, 401) << asked.substr(0, 40);
    EXPECT_EQ(reply.error()["type"], "authentication_error");
    EXPECT_EQ(reply.error()["code"], "invalid_api_key");
    EXPECT_EQ(reply.headers.at("www-authenticate"), "Bearer");
  }
  EXPECT_EQ(service.ask(request("GET", "/livez")).status, 200) << "probes have none";
  EXPECT_EQ(service.ask(request("GET", "/v1/models", "", "", "X-Api-Key: " + viewer + "\r\n")).status, 200);
  EXPECT_EQ(service.metric("holdall_auth_failures_total{reason=\"missing\"}"), 3);
}

TEST_F(KeyedService, LetsEachRoleDoItsPart) {
  EXPECT_EQ(service.ask(request("GET", "/v1/models", "", "", bearer(viewer))).status, 200);
  const Reply refused = service.ask(edit("p", {}, bearer(viewer)));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.error()["type"], "permission_error");
  EXPECT_THAT(std::string(refused.error()["message"]), HasSubstr("needs the role editor"));
  EXPECT_EQ(service.ask(edit("p", {}, bearer(editor))).status, 200);
}

TEST_F(KeyedService, LimitsAKeyByRateAndQuota) {
  const Reply too_many = service.ask(edit("p", {{"n", "6", ""}}, bearer(rare)));
  EXPECT_EQ(too_many.status, 429);
  EXPECT_EQ(too_many.error()["code"], "insufficient_quota");
  EXPECT_EQ(too_many.headers.at("x-should-retry"), "false");
  const Reply soon = service.ask(edit("p", {}, bearer(rare)));
  EXPECT_EQ(soon.status, 429);
  EXPECT_EQ(soon.error()["code"], "rate_limit_exceeded");
  EXPECT_EQ(soon.headers.at("retry-after"), "100");
  EXPECT_EQ(soon.headers.at("x-ratelimit-limit-requests"), "5");
  EXPECT_EQ(soon.headers.at("x-ratelimit-remaining-requests"), "5");
  EXPECT_EQ(service.ask(edit("p", {}, bearer(editor))).headers.count("x-ratelimit-limit-requests"), 0u);
}

TEST_F(KeyedService, LetsCallersTakeTurns) {
  const std::string other = new_key("--name o", file);
  service.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return service.log().find("\"reloaded\"") != std::string::npos; }));
  std::vector<std::unique_ptr<Client>> clients;
  const auto send = [&](const std::string& prompt, const std::string& key, double waiting) {
    clients.push_back(std::make_unique<Client>(service.port()));
    clients.back()->send(edit(prompt, {}, bearer(key)));
    return eventually([&] { return service.metric("holdall_queue_depth ") == waiting; });
  };
  clients.push_back(std::make_unique<Client>(service.port()));
  clients.back()->send(edit("hold " + (model / "release").string(), {}, bearer(editor)));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_jobs_inflight ") == 1; }));
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(send("p", editor, i));
  ASSERT_TRUE(send("p", other, 4));
  model.write("release");
  for (auto& client : clients) EXPECT_TRUE(client->read_reply());
  const std::string log = model.read("log");
  EXPECT_LT(log.find("edit 5.0"), log.find("edit 2.0")) << log;
  EXPECT_LT(log.find("edit 2.0"), log.find("edit 3.0")) << log;
}

TEST_F(KeyedService, TakesNewKeysAndSettingsOnSighup) {
  keys("revoke --name e", file);
  const std::string fresh = new_key("--name f", file);
  EXPECT_EQ(service.ask(edit("p", {}, bearer(editor))).status, 200);
  state.write("config.json", R"({"limits":{"max_body_bytes":100}})");
  service.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return service.log().find("\"reloaded\"") != std::string::npos; }));
  EXPECT_EQ(service.ask(request("GET", "/v1/models", "", "", bearer(editor))).status, 401);
  EXPECT_EQ(service.ask(request("GET", "/v1/models", "", "", bearer(fresh))).status, 200);
  EXPECT_EQ(service.ask(edit("p", {}, bearer(fresh))).status, 413);
}

TEST_F(KeyedService, KeepsWhatItHasWhereTheNewFilesAreWrong) {
  state.write("config.json", R"({"limits":{"max_body_bytes":"many"}})");
  service.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return service.log().find("reload_failed") != std::string::npos; }));
  EXPECT_THAT(service.log(), HasSubstr("'/limits/max_body_bytes' is"));
  EXPECT_EQ(service.ask(edit("a gun", {}, bearer(editor))).status, 400);
  EXPECT_EQ(service.ask(edit("p", {}, bearer(editor))).status, 200);
}

TEST_F(KeyedService, RefusesWhatThePolicyBlocks) {
  for (const char* prompt : {"a Gun in the hand", "裸体"}) {
    const Reply reply = service.ask(edit(prompt, {}, bearer(editor)));
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.error()["code"], "content_policy_violation");
    EXPECT_EQ(reply.error()["param"], "prompt");
  }
}

TEST_F(KeyedService, WritesAnAuditLogThatHoldsNoPrompt) {
  service.ask(edit("p", {{"seed", "1", ""}}, bearer(editor)));
  service.ask(edit("p", {{"seed", "1", ""}}, bearer(editor)));
  service.ask(edit("a gun", {}, bearer(editor)));
  service.ask(edit("p", {}, bearer(viewer)));
  service.ask(edit("p"));
  service.ask(request("GET", "/v1/models", "", "", bearer(viewer)));
  service.signal(SIGTERM);
  ASSERT_EQ(service.wait_exit(), 0);
  std::vector<nlohmann::json> lines;
  std::istringstream text(state.read("audit.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 5u);
  const std::vector<int> statuses{200, 200, 400, 403, 401};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["status"], statuses[i]);
    EXPECT_EQ(lines[i]["route"], "/v1/images/edits");
  }
  EXPECT_EQ(lines[0]["key_name"], "e");
  EXPECT_EQ(lines[4]["key_name"], nullptr);
  // sha256 of "p" and of "PICTURE"
  EXPECT_EQ(lines[0]["prompt_sha256"], "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940");
  EXPECT_EQ(lines[0]["model_digest"], "d1");
  EXPECT_EQ(lines[0]["images_sha256"], lines[0]["result_sha256"]) << "the fake worker gives the picture back";
  EXPECT_EQ(lines[0]["parameters_digest"], lines[1]["parameters_digest"]);
  EXPECT_EQ(lines[2]["result_sha256"], nullptr);
  EXPECT_THAT(state.read("audit.jsonl"), ::testing::Not(HasSubstr("gun")));
  EXPECT_EQ(
      std::system(
          (std::string(HOLDALL_EDIT) + " audit verify " + (state / "audit.jsonl").string() + " >/dev/null").c_str()),
      0);
}

TEST(Keys, LetTheServiceListenEverywhere) {
  Folder model;
  new_key("--name e", model / "keys.json");
  ServiceProcess service(model, {"--host", "0.0.0.0", "--keys", (model / "keys.json").string()});
  service.wait_ready();
  EXPECT_EQ(service.ask(edit("p")).status, 401);
}

TEST(Keys, ThatCannotBeReadStopTheStart) {
  Folder model;
  ServiceProcess missing(model, {"--keys", (model / "none.json").string()});
  EXPECT_EQ(missing.wait_exit(), 7);
  model.write("bad.json", R"({"keys":[{"name":"a"}]})");
  ServiceProcess bad(model, {"--keys", (model / "bad.json").string()});
  EXPECT_EQ(bad.wait_exit(), 2);
  EXPECT_THAT(bad.log(), HasSubstr("'/keys/0/role'"));
}

}  // namespace
}  // namespace holdall::runtime::service::testing
