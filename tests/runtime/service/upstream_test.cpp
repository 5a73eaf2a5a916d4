// A service that has another one as its upstream, or as its stand-by: who answers, and what when one of them fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Upstream : public ::testing::Test {
 protected:
  void SetUp() override { start_far(); }

  void start_far(std::vector<std::string> options = {}) {
    far_ = std::make_unique<ServiceProcess>(far_model_, std::move(options));
    far_->wait_ready();
    address_ = "127.0.0.1:" + std::to_string(far_->port());
  }

  // `more`: over what is said here.
  void start_near(json more, std::vector<std::string> options = {}, std::vector<std::string> environment = {}) {
    json upstream = {{"url", "http://" + address_ + "/v1"}, {"probe_interval_seconds", 0}, {"open_seconds", 1}};
    upstream.update(more);
    state_.write("config.json", json{{"upstream", upstream}}.dump());
    options.insert(options.end(), {"--config", (state_ / "config.json").string()});
    near_ = std::make_unique<ServiceProcess>(near_model_, std::move(options), std::move(environment));
    near_->wait_ready();
  }

  std::string server_of(const Reply& reply) const {
    const auto found = reply.headers.find("x-served-by");
    return found == reply.headers.end() ? "nobody" : found->second == "upstream:" + address_ ? "far" : found->second;
  }

  static int edits_of(const Folder& model) {
    const std::string log = model.read("log");
    int count = 0;
    for (std::size_t at = 0; (at = log.find("edit ", at)) != log.npos; at += 5) ++count;
    return count;
  }

  Folder far_model_, near_model_, state_;
  std::unique_ptr<ServiceProcess> far_, near_;
  std::string address_;
};

TEST_F(Upstream, ThatIsPrimaryGetsTheRequestAsItCame) {
  start_near({{"mode", "primary"}});
  const Reply reply = near_->ask(edit("echo", {{"n", "2", ""},
                                               {"seed", "7", ""},
                                               {"negative_prompt", "雾", ""},
                                               {"size", "64x32", ""},
                                               {"stream", "false", ""},
                                               {"model", "fake-edit", ""}}));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(server_of(reply), "far");
  EXPECT_EQ(edits_of(near_model_), 0);
  EXPECT_FALSE(reply.headers.contains("x-model-digest")) << "of the model here, which has not made it";
  const json body = reply.json();
  ASSERT_EQ(body["data"].size(), 2u);
  EXPECT_EQ(body["data"][1]["seed"], 8);
  // The worker there gives back what it was told.
  const Reply asked = far_->ask(
      edit("echo", {{"n", "2", ""}, {"seed", "7", ""}, {"negative_prompt", "雾", ""}, {"size", "64x32", ""}}));
  const auto told = [](const Reply& one) { return one.json()["data"][0]["b64_json"].get<std::string>().size(); };
  EXPECT_EQ(told(reply), told(asked));
}

TEST_F(Upstream, GetsPicturesAndMask) {
  start_near({{"mode", "primary"}});
  for (const char* prompt : {"p", "mask"}) {
    const std::string asked = edit(prompt, {{"image[]", "SECOND", "b.png"}, {"mask", "A MASK", "m.png"}});
    const auto picture = [](const Reply& reply) { return reply.json()["data"][0]["b64_json"]; };
    EXPECT_EQ(picture(near_->ask(asked)), picture(far_->ask(asked))) << prompt;
  }
}

TEST_F(Upstream, GetsItsModelAndItsKey) {
  state_.write("wanted", "");
  const std::string file = (state_ / "keys.json").string();
  const std::string key = [&] {
    FILE* out =
        ::popen((std::string(HOLDALL_EDIT) + " keys add --name near --role editor --keys " + file).c_str(), "r");
    char text[128] = "";
    const std::string line = std::fgets(text, sizeof text, out) ? text : "";
    ::pclose(out);
    return line.substr(0, line.find('\n'));
  }();
  start_far({"--keys", file});
  start_near({{"mode", "primary"}, {"api_key_env", "FAR_KEY"}, {"model", "fake-edit"}}, {}, {"FAR_KEY=" + key});
  EXPECT_EQ(server_of(near_->ask(edit("p"))), "far");
  start_near({{"mode", "primary"}, {"api_key_env", "FAR_KEY"}}, {}, {"FAR_KEY=wrong"});
  EXPECT_EQ(server_of(near_->ask(edit("p"))), "local");
  EXPECT_THAT(near_->log(), HasSubstr("status 401"));
  start_near({{"mode", "primary"}, {"api_key_env", "FAR_KEY"}, {"model", "another"}}, {}, {"FAR_KEY=" + key});
  EXPECT_EQ(server_of(near_->ask(edit("p"))), "local");
  EXPECT_THAT(near_->log(), HasSubstr("status 404"));
  EXPECT_THAT(near_->log(), Not(HasSubstr(key)));
}

TEST_F(Upstream, ThatIsPrimaryAndGoneIsReplacedByTheModelHere) {
  start_near({{"mode", "primary"}});
  far_->signal(SIGKILL);
  far_->wait_exit();
  for (int i = 0; i < 3; ++i) {
    const Reply reply = near_->ask(edit("p"));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(server_of(reply), "local");
    EXPECT_TRUE(reply.headers.contains("x-model-digest"));
  }
  EXPECT_EQ(near_->metric("holdall_breaker_state{dep=\"upstream\"}"), 2);
  EXPECT_EQ(near_->metric("holdall_dependency_up{dep=\"upstream\"}"), 0);
  EXPECT_THAT(near_->log(), HasSubstr("\"upstream_breaker\""));
}

TEST_F(Upstream, WhoseBreakerIsOpenIsTriedAgainAfterAWhile) {
  start_near({{"mode", "primary"}, {"failures_to_open", 1}});
  far_model_.write("wait");
  EXPECT_EQ(server_of(near_->ask(edit("crash once " + (state_ / "crashed").string()))), "local");
  EXPECT_EQ(near_->metric("holdall_breaker_state{dep=\"upstream\"}"), 2);
  EXPECT_EQ(server_of(near_->ask(edit("p"))), "local") << "left alone";
  far_model_.write("go");
  far_->wait_ready();
  EXPECT_TRUE(eventually([&] { return server_of(near_->ask(edit("p"))) == "far"; }));
  EXPECT_EQ(near_->metric("holdall_breaker_state{dep=\"upstream\"}"), 0);
}

TEST_F(Upstream, IsProbedSoThatNoRequestFindsOutFirst) {
  start_near({{"mode", "primary"}, {"probe_interval_seconds", 1}, {"failures_to_open", 2}, {"open_seconds", 60}});
  EXPECT_EQ(near_->metric("holdall_dependency_up{dep=\"upstream\"}"), 1);
  far_->signal(SIGKILL);
  far_->wait_exit();
  EXPECT_TRUE(eventually([&] { return near_->metric("holdall_breaker_state{dep=\"upstream\"}") == 2; }));
}

TEST_F(Upstream, RefusesForItsClientsFault) {
  start_near({{"mode", "primary"}, {"failures_to_open", 1}});
  const Reply reply = near_->ask(edit("bad"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(server_of(reply), "far");
  EXPECT_EQ(reply.error()["param"], "image");
  EXPECT_EQ(near_->metric("holdall_breaker_state{dep=\"upstream\"}"), 0);
  EXPECT_EQ(edits_of(near_model_), 0);
}

TEST_F(Upstream, OnStandbyServesWhatFailsHere) {
  start_near(json::object());
  EXPECT_EQ(server_of(near_->ask(edit("p"))), "local");
  EXPECT_EQ(edits_of(far_model_), 0);
  near_model_.write("wait");
  EXPECT_EQ(server_of(near_->ask(edit("crash once " + (state_ / "crashed").string()))), "far");
  // And what comes while the worker is started again; but for jobs, which are kept here.
  EXPECT_EQ(near_->probe("/readyz").status, 503);
  EXPECT_EQ(server_of(near_->ask(edit("p"))), "far");
  near_model_.write("go");
  near_->wait_ready();
  EXPECT_EQ(server_of(near_->ask(edit("p"))), "local");
}

TEST_F(Upstream, OnStandbyThatFailsLeavesTheAnswerFromHere) {
  start_near(json::object());
  const Reply reply = near_->ask(edit("oom"));  // there, too
  EXPECT_EQ(reply.status, 507);
  EXPECT_EQ(edits_of(far_model_), 1);
  far_->signal(SIGKILL);
  far_->wait_exit();
  EXPECT_EQ(near_->ask(edit("crash")).error()["code"], "worker_crashed");
}

TEST_F(Upstream, EndsAStreamWithItsPicture) {
  start_near({{"mode", "primary"}});
  const Reply reply = near_->ask(edit("p", {{"stream", "true", ""}}));
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr("event: image_edit.completed"));
  EXPECT_EQ(server_of(reply), "far");
}

TEST_F(Upstream, IsLeftByAClientThatLeaves) {
  start_near({{"mode", "primary"}});
  {
    Client client(near_->port());
    client.send(edit("hold " + (state_ / "never").string()));
    ASSERT_TRUE(eventually([&] { return edits_of(far_model_) == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return far_model_.read("log").find("cancelled") != std::string::npos; }));
}

TEST_F(Upstream, KeepsToTheClientsDeadlineAndItsOwn) {
  start_near({{"mode", "primary"}, {"timeout_seconds", 1}});
  const std::string hold = "hold " + (state_ / "never").string();
  const Reply late = near_->ask(edit(hold, {}, "X-Request-Timeout: 0.3\r\n"));
  EXPECT_EQ(late.status, 504);
  EXPECT_EQ(edits_of(near_model_), 0) << "time that has run out is out everywhere";
  EXPECT_EQ(near_->metric("holdall_breaker_state{dep=\"upstream\"}"), 0);
  Client client(near_->port());
  client.send(edit(hold));
  EXPECT_TRUE(eventually([&] { return edits_of(near_model_) == 1; })) << "it takes too long: the model here is asked";
}

TEST_F(Upstream, IsNotTakenForTheModelHereByTheCache) {
  start_near({{"mode", "primary"}}, {"--state", (state_ / "near").string()});
  const std::string asked = edit("p", {{"seed", "1", ""}});
  EXPECT_EQ(server_of(near_->ask(asked)), "far");
  const Reply again = near_->ask(asked);
  EXPECT_EQ(again.headers.at("x-cache"), "miss");
  EXPECT_EQ(server_of(again), "far");
}

TEST(UpstreamSettings, ThatCannotBeUsedAreRefusedAtTheStart) {
  Folder model, state;
  for (const auto& [upstream, why] : std::vector<std::pair<json, const char*>>{
           {{{"url", "ftp://x"}}, "must begin with http:// or https://"},
           {{{"url", "http://user@x/v1"}}, "no user"},
           {{{"url", "http://x:port/v1"}}, "no port"},
           {{{"url", "http:///v1"}}, "names no host"},
           {{{"url", "http://x/v1"}, {"mode", "both"}}, "/upstream/mode"},
           {{{"url", "http://x/v1"}, {"api_key_env", "NOWHERE"}}, "names 'NOWHERE'"},
           {{{"url", "http://x/v1"}, {"retries", 3}}, "/upstream/retries"}}) {
    state.write("config.json", json{{"upstream", upstream}}.dump());
    ServiceProcess service(model, {"--config", (state / "config.json").string()});
    EXPECT_EQ(service.wait_exit(), 2) << upstream;
    EXPECT_THAT(service.log(), HasSubstr(why));
  }
}

}  // namespace
}  // namespace holdall::runtime::service::testing
