// Replies that are streams of events.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using ::testing::HasSubstr;

class Streams : public ::testing::Test {
 protected:
  void SetUp() override { service.wait_ready(); }

  static std::string streamed(const std::string& prompt, std::vector<Part> more = {}) {
    more.push_back({"stream", "true", ""});
    return edit(prompt, more);
  }
  std::string hold() const { return "hold " + (model / "release").string(); }

  Folder model;
  ServiceProcess service{
      model,
      {"--config", (model.write("c.json", R"({"events":{"heartbeat_seconds":1}})"), (model / "c.json").string())}};
};

TEST_F(Streams, EndWithThePictureAsOpenAiClientsExpectIt) {
  const Reply reply = service.ask(streamed("p", {{"seed", "7", ""}}));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  EXPECT_THAT(reply.body, ::testing::StartsWith("event: image_edit.completed\ndata: {"));
  EXPECT_THAT(reply.body, ::testing::EndsWith("}\n\n"));
  const auto event = nlohmann::json::parse(reply.body.substr(reply.body.find('{')));
  EXPECT_EQ(event["type"], "image_edit.completed");
  EXPECT_EQ(event["b64_json"], "UElDVFVSRQ==");
  EXPECT_EQ(event["seed"], 7);
  EXPECT_EQ(event["size"], "64x32");
  EXPECT_EQ(event["output_format"], "png");
  EXPECT_TRUE(event.contains("usage") && event.contains("created_at"));
}

TEST_F(Streams, TellOfTheStepsWhereThatIsAskedFor) {
  const std::string quiet = service.ask(streamed("steps")).body;
  EXPECT_THAT(quiet, ::testing::Not(HasSubstr("progress")));
  const std::string told = service.ask(streamed("steps", {{"progress", "true", ""}})).body;
  for (const char* step : {"\"step\":1,\"total\":3", "\"step\":2,", "\"step\":3,"}) EXPECT_THAT(told, HasSubstr(step));
  EXPECT_THAT(told, HasSubstr("event: image_edit.progress\ndata: {\"type\":\"image_edit.progress\""));
  EXPECT_THAT(told, HasSubstr("event: image_edit.completed"));
}

TEST_F(Streams, ForeseeTheEndFromTheStepsThatWereTaken) {
  for (int i = 0; i < 3; ++i) service.ask(edit("p"));  // which take no time at all
  Client client(service.port());
  client.send(streamed(hold(), {{"progress", "true", ""}}));  // of 1000 steps, 5 ms from one to the next
  ASSERT_TRUE(client.read_until("\"step\":40,"));
  ASSERT_TRUE(client.read_until("\"eta_seconds\":"));
  std::string eta;
  ASSERT_TRUE(client.read_line(eta));
  EXPECT_GT(std::stod(eta), 960 * 39 * 0.005 / 40);  // the first step is told at once
  model.write("release");
  EXPECT_TRUE(client.read_until("image_edit.completed"));
}

TEST_F(Streams, ShowWhatThePictureLooksLikeByThen) {
  const std::string body = service.ask(streamed("p", {{"partial_images", "3", ""}})).body;  // the worker shows two
  std::vector<nlohmann::json> events;
  for (std::size_t at = 0; (at = body.find("data: ", at)) != body.npos; ++at)
    events.push_back(nlohmann::json::parse(body.substr(at + 6, body.find('\n', at) - at - 6)));
  ASSERT_EQ(events.size(), 3u) << body;
  EXPECT_THAT(body, ::testing::StartsWith("event: image_edit.partial_image\n"));
  for (int i = 0; i < 2; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    EXPECT_EQ(event["type"], "image_edit.partial_image");
    EXPECT_EQ(event["partial_image_index"], i);
    EXPECT_EQ(event["b64_json"], "UEFSVElBTA==");
    EXPECT_EQ(event["size"], "32x16");
    EXPECT_TRUE(event.contains("created_at") && event.contains("quality") && event.contains("background"));
  }
  EXPECT_EQ(events[2]["type"], "image_edit.completed");
  EXPECT_EQ(service.ask(edit("p", {{"partial_images", "1", ""}})).error()["param"], "partial_images");
}

TEST_F(Streams, HaveAStatusOfTheirOwnForWhatFailsBeforeTheyBegin) {
  const Reply bad = service.ask(streamed("bad"));
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.headers.at("content-type"), "application/json");
  EXPECT_EQ(service.ask(streamed("p", {{"n", "2", ""}})).error()["param"], "n");
  EXPECT_EQ(service.ask(edit("p", {{"progress", "true", ""}})).error()["param"], "progress");
  EXPECT_EQ(service.ask(edit("p", {{"stream", "maybe", ""}})).error()["param"], "stream");
}

TEST_F(Streams, SayWhatFailsLaterAsAnEvent) {
  Client client(service.port());
  client.send(streamed(hold(), {{"progress", "true", ""}}));
  ASSERT_TRUE(client.read_until("image_edit.progress"));
  service.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return service.probe("/readyz").status == 503; }));
  model.write("release");
  EXPECT_TRUE(client.read_until("event: image_edit.completed")) << "a drain lets it end";
  EXPECT_TRUE(client.read_until("0\r\n\r\n"));
  EXPECT_EQ(service.wait_exit(), 0);
}

TEST_F(Streams, BeatWhileNothingHappens) {
  Client running(service.port()), waiting(service.port());
  running.send(edit(hold()));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_jobs_inflight ") == 1; }));
  waiting.send(streamed("p"));
  ASSERT_TRUE(waiting.read_until("\r\n:\n\n\r\n"));
  model.write("release");
  EXPECT_TRUE(waiting.read_until("event: image_edit.completed"));
}

TEST_F(Streams, FreeTheWorkerWhenTheClientLeaves) {
  Client client(service.port());
  client.send(streamed(hold(), {{"progress", "true", ""}}));
  ASSERT_TRUE(client.read_until("image_edit.progress"));
  client.close();
  EXPECT_TRUE(eventually([&] { return model.read("log").find("cancelled") != std::string::npos; }));
  EXPECT_EQ(service.ask(edit("p")).status, 200);
  EXPECT_EQ(service.metric("holdall_http_requests_total{code=\"499\""), 1);
}

TEST_F(Streams, LeaveTheConnectionOpenForMore) {
  Client client(service.port());
  for (int i = 0; i < 3; ++i) {
    client.send(streamed("steps", {{"progress", "true", ""}}));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_THAT(reply->body, HasSubstr("image_edit.completed"));
  }
  client.send(request("GET", "/livez"));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
}

TEST_F(Streams, EndWithTheConnectionForHttp10) {
  std::string old = streamed("p");
  old.replace(old.find("HTTP/1.1"), 8, "HTTP/1.0");
  Client client(service.port());
  client.send(old);
  ASSERT_TRUE(client.read_until("\r\n\r\nevent: image_edit.completed\n"));
  EXPECT_TRUE(client.read_until("}\n\n"));
  EXPECT_TRUE(client.closed_by_server());
}

}  // namespace
}  // namespace holdall::runtime::service::testing
