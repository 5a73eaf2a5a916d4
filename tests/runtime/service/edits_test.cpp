// POST /v1/images/edits from the client's side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using ::testing::HasSubstr;

class Edits : public ::testing::Test {
 protected:
  explicit Edits(std::vector<std::string> options = {}) : service(model, std::move(options)) {}
  void SetUp() override { service.wait_ready(); }
  bool logged(const std::string& line) { return model.read("log").find(line + "\n") != std::string::npos; }
  // Occupies the worker until release().
  std::string hold() { return edit("hold " + (model / "release").string()); }
  void release() { model.write("release"); }

  Folder model;
  ServiceProcess service;
};

class EditsWithShortQueue : public Edits {
 protected:
  EditsWithShortQueue() : Edits({"--queue-limit", "1"}) {}
};

TEST_F(Edits, ReturnsThePictureAsOpenAiClientsExpectIt) {
  const Reply reply = service.ask(edit("p", {{"seed", "7", ""}}));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto body = reply.json();
  EXPECT_GT(body["created"], 1'600'000'000);
  EXPECT_EQ(body["data"][0]["b64_json"], "UElDVFVSRQ==");
  EXPECT_EQ(body["data"][0]["seed"], 7);
  EXPECT_EQ(body["output_format"], "png");
  EXPECT_EQ(body["size"], "64x32");
  EXPECT_EQ(body["background"], "opaque");
  EXPECT_TRUE(body.contains("quality"));
  EXPECT_EQ(body["usage"], nlohmann::json::parse(R"({"input_tokens":17,"output_tokens":8,"total_tokens":25,
      "input_tokens_details":{"text_tokens":11,"image_tokens":6}})"));
  EXPECT_EQ(reply.headers.at("x-model-digest"), "d1");
  EXPECT_EQ(reply.headers.at("x-env-digest"), "e1");
  EXPECT_EQ(reply.headers.at("server-timing").substr(0, 10), "queue;dur=");
  EXPECT_THAT(reply.headers.at("server-timing"), HasSubstr("text;dur=250, denoise;dur=500, vae;dur=125, encode;dur=0"));
}

TEST_F(Edits, MakesNPicturesWithConsecutiveSeeds) {
  const auto body = service.ask(edit("p", {{"n", "3", ""}, {"seed", "41", ""}})).json();
  ASSERT_EQ(body["data"].size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(body["data"][static_cast<std::size_t>(i)]["seed"], 41 + i);
  EXPECT_FALSE(logged("edit 2.0")) << "one request of the worker, which reads prompt and pictures once";
}

TEST_F(Edits, HandsEveryParameterToTheWorker) {
  const Reply reply = service.ask(edit("echo", {{"image[]", "SECOND", "b.png"},
                                                {"negative_prompt", "blur", ""},
                                                {"seed", "5", ""},
                                                {"num_inference_steps", "9", ""},
                                                {"true_cfg_scale", "2.5", ""},
                                                {"guidance_scale", "3.5", ""},
                                                {"strength", "0.5", ""},
                                                {"n", "2", ""},
                                                {"size", "512x256", ""},
                                                {"output_format", "jpeg", ""},
                                                {"output_compression", "80", ""}}));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto header = nlohmann::json::parse(from_base64(reply.json()["data"][0]["b64_json"]));
  EXPECT_EQ(header["negative_prompt"], "blur");
  EXPECT_EQ(header["seed"], 5);
  EXPECT_EQ(header["steps"], 9);
  EXPECT_EQ(header["true_cfg_scale"], 2.5);
  EXPECT_EQ(header["guidance_scale"], 3.5);
  EXPECT_EQ(header["strength"], 0.5);
  EXPECT_EQ(header["n"], 2);
  EXPECT_FALSE(header.contains("mask") || header.contains("partial_images"));
  EXPECT_EQ(header["size"], nlohmann::json({512, 256}));
  EXPECT_EQ(header["format"], "jpeg");
  EXPECT_EQ(header["quality"], 80);
  EXPECT_EQ(header["max_pixels"], 40'000'000);
}

TEST_F(Edits, HandsTheMaskToTheWorkerBehindThePictures) {
  const Reply reply = service.ask(edit("mask", {{"mask", "MASK", "m.png"}, {"image[]", "SECOND", "b.png"}}));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json()["data"][0]["b64_json"], "TUFTSw==");
  EXPECT_EQ(service.ask(edit("p", {{"mask", "M", "m"}, {"mask", "M", "m"}})).error()["param"], "mask");
  EXPECT_EQ(service.ask(edit("p", {{"mask", "text", ""}})).error()["param"], "mask");
  EXPECT_EQ(service.ask(edit("p", {{"mask", "", "m.png"}})).error()["param"], "mask");
}

TEST_F(Edits, AcceptsJsonWithDataUrls) {
  const Reply reply = service.ask(request(
      "POST", "/v1/images/edits", R"({"prompt":"p","image":"data:image/png;base64,UElD"})", "application/json"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json()["data"][0]["b64_json"], "UElD");
}

TEST_F(Edits, RefusesBadFormsNamingTheField) {
  const Reply unknown = service.ask(edit("p", {{"sede", "1", ""}}));
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.error()["param"], "sede");
  const Reply url = service.ask(edit("p", {{"response_format", "url", ""}}));
  EXPECT_EQ(url.status, 400);
  EXPECT_EQ(url.error()["param"], "response_format");
  EXPECT_EQ(service.ask(edit("p", {{"size", "9999x9999", ""}})).error()["param"], "size");
  EXPECT_EQ(service.ask(edit("p", {}, "X-Request-Timeout: soon\r\n")).error()["param"], "X-Request-Timeout");
}

TEST_F(Edits, RefusesAFormThatIsCutShortByItsLength) {
  std::string text = edit("p");
  const auto at = text.find("Content-Length: ") + 16;
  const auto end = text.find("\r\n", at);
  text.replace(at, end - at, std::to_string(std::stoi(text.substr(at, end - at)) - 20));
  EXPECT_EQ(service.ask(text).status, 400);
}

TEST_F(Edits, TranslatesTheWorkersErrors) {
  const Reply bad = service.ask(edit("bad"));
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.error()["param"], "image");
  const Reply large = service.ask(edit("large"));
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.error()["code"], "image_too_large");
  EXPECT_EQ(large.error()["param"], "image");
  const Reply memory = service.ask(edit("oom"));
  EXPECT_EQ(memory.status, 507);
  EXPECT_EQ(memory.headers.at("x-should-retry"), "false");
  EXPECT_EQ(service.ask(edit("internal")).status, 500);
  EXPECT_EQ(service.ask(edit("p")).status, 200);
  EXPECT_EQ(service.metric("holdall_jobs_total{outcome=\"failed\",reason=\"out_of_memory\"}"), 1);
}

TEST_F(EditsWithShortQueue, AnswersAFullQueueWith429AndWhenToComeBack) {
  Client running(service.port()), waiting(service.port());
  running.send(hold());
  ASSERT_TRUE(eventually([&] { return logged("edit 1.0"); }));
  waiting.send(edit("p"));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_queue_depth ") == 1; }));
  const Reply refused = service.ask(edit("p"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.error()["type"], "rate_limit_error");
  EXPECT_GE(std::stoi(refused.headers.at("retry-after")), 1);
  release();
  EXPECT_EQ(running.read_reply()->status, 200);
  const auto second = waiting.read_reply();
  EXPECT_EQ(second->status, 200);
  EXPECT_EQ(second->headers.at("x-queue-position"), "1");
}

TEST_F(Edits, CancelsWhatRunsWhenItsClientLeaves) {
  Client leaving(service.port());
  leaving.send(hold());
  ASSERT_TRUE(eventually([&] { return logged("edit 1.0"); }));
  leaving.close();
  EXPECT_TRUE(eventually([&] { return logged("cancelled 1.0"); }));
  EXPECT_EQ(service.ask(edit("p")).status, 200);
  EXPECT_EQ(service.metric("holdall_jobs_total{outcome=\"cancelled\",reason=\"client_gone\"}"), 1);
  EXPECT_EQ(service.metric("holdall_http_requests_total{code=\"499\",method=\"POST\",route=\"/v1/images/edits\"}"), 1);
}

TEST_F(Edits, ForgetsWhatWaitsWhenItsClientLeaves) {
  Client running(service.port()), leaving(service.port());
  running.send(hold());
  ASSERT_TRUE(eventually([&] { return logged("edit 1.0"); }));
  leaving.send(edit("p"));
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_queue_depth ") == 1; }));
  leaving.close();
  ASSERT_TRUE(eventually([&] { return service.metric("holdall_queue_depth ") == 0; }));
  release();
  EXPECT_EQ(running.read_reply()->status, 200);
  EXPECT_FALSE(logged("edit 2.0"));
}

TEST_F(Edits, AnswersAPassedDeadlineWith504AndFreesTheWorker) {
  Client late(service.port());
  late.send(edit("hold " + (model / "never").string(), {}, "X-Request-Timeout: 0.2\r\n"));
  const auto reply = late.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 504);
  EXPECT_EQ(reply->headers.at("x-should-retry"), "false");
  EXPECT_TRUE(eventually([&] { return logged("cancelled 1.0"); }));
  EXPECT_EQ(service.ask(edit("p")).status, 200);
}

TEST_F(Edits, NeverLogsAPromptInClear) {
  service.ask(edit("a secret wish"));
  ASSERT_TRUE(eventually([&] { return service.log().find("\"event\":\"edit\"") != std::string::npos; }));
  EXPECT_EQ(service.log().find("secret wish"), std::string::npos);
  // sha256 of "a secret wish"
  EXPECT_THAT(service.log(),
              HasSubstr("\"prompt_sha256\":\"0fae36f05622fb10bc54f72232b2ab554ab9768f00dc11f7f95b5fbf77e861b7\""));
}

}  // namespace
}  // namespace holdall::runtime::service::testing
