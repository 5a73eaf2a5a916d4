// The same request again: idempotency keys, requests in progress, and results that are kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

const Part kSeed{"seed", "7", ""};

class Repeats : public ::testing::Test {
 protected:
  void start(const std::string& config = "{}") {
    service.reset();
    state.write("config.json", config);
    service = std::make_unique<ServiceProcess>(
        model,
        std::vector<std::string>{"--state", state.path().string(), "--config", (state / "config.json").string()});
    service->wait_ready();
  }
  int edits() const {
    const std::string log = model.read("log");
    int found = 0;
    for (auto at = log.find("edit "); at != log.npos; at = log.find("edit ", at + 1)) ++found;
    return found;
  }
  static std::string key(const std::string& text) { return "Idempotency-Key: " + text + "\r\n"; }
  static std::string cache(const Reply& reply) {
    const auto at = reply.headers.find("x-cache");
    return at == reply.headers.end() ? "" : at->second;
  }

  Folder model, state;
  std::unique_ptr<ServiceProcess> service;
};

TEST_F(Repeats, AreAnsweredFromTheCacheWhereTheSeedIsGiven) {
  start();
  const Reply first = service->ask(edit("p", {kSeed})), again = service->ask(edit("p", {kSeed}));
  EXPECT_EQ(cache(first), "miss");
  EXPECT_EQ(cache(again), "hit");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(edits(), 1);
  EXPECT_EQ(service->metric("holdall_cache_requests_total{result=\"hit\"}"), 1);
  EXPECT_EQ(service->metric("holdall_cache_requests_total{result=\"miss\"}"), 1);
  const Reply streamed = service->ask(edit("p", {kSeed, {"stream", "true", ""}}));
  EXPECT_EQ(cache(streamed), "hit");
  EXPECT_THAT(streamed.body, ::testing::HasSubstr("event: image_edit.completed"));
  start();
  EXPECT_EQ(cache(service->ask(edit("p", {kSeed}))), "hit") << "the next service finds it, too";
}

TEST_F(Repeats, AreMadeAgainWhereAnythingDiffers) {
  start();
  service->ask(edit("p", {kSeed}));
  for (const auto& more : {std::vector<Part>{{"seed", "8", ""}},
                           {kSeed, {"n", "2", ""}},
                           {kSeed, {"output_format", "webp", ""}},
                           {kSeed, {"image", "OTHER", "b.png"}},
                           {kSeed, {"mask", "MASK", "m.png"}}})
    EXPECT_EQ(cache(service->ask(edit("p", more))), "miss");
  EXPECT_EQ(cache(service->ask(edit("q", {kSeed}))), "miss");
  EXPECT_EQ(cache(service->ask(edit("p"))), "") << "without a seed each one is new";
  EXPECT_EQ(edits(), 8);
}

TEST_F(Repeats, AreMadeAgainWherePicturesAreScaledOtherwise) {
  start();
  const std::string asked = edit("echo", {}, key("k"));
  const auto told = [](const Reply& reply) { return from_base64(reply.json()["data"][0]["b64_json"]); };
  const Reply whole = service->ask(asked);
  EXPECT_FALSE(whole.headers.contains("x-preprocess-short-side"));
  EXPECT_THAT(told(whole), ::testing::Not(::testing::HasSubstr("short_side")));
  state.write("config.json", R"({"images":{"preprocess_short_side":512}})");
  service->signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return service->log().find("\"reloaded\"") != std::string::npos; }));
  const Reply scaled = service->ask(asked);
  EXPECT_EQ(cache(scaled), "miss");
  EXPECT_EQ(scaled.headers.at("x-preprocess-short-side"), "512");
  EXPECT_THAT(told(scaled), ::testing::HasSubstr("\"short_side\":512"));
  EXPECT_EQ(cache(service->ask(asked)), "hit");
}

TEST_F(Repeats, AreMadeAgainOnceTheResultIsOldOrTooMuch) {
  start(R"({"cache":{"ttl_seconds":1}})");
  service->ask(edit("p", {kSeed}));
  EXPECT_TRUE(eventually([&] { return cache(service->ask(edit("p", {kSeed}))) == "miss"; }));
  start(R"({"cache":{"max_bytes":10}})");  // one picture of the fake worker's has 7
  service->ask(edit("a", {kSeed}));
  service->ask(edit("b", {kSeed}));
  EXPECT_EQ(cache(service->ask(edit("b", {kSeed}))), "hit");
  EXPECT_EQ(cache(service->ask(edit("a", {kSeed}))), "miss");
  start(R"({"cache":{"max_bytes":0}})");
  service->ask(edit("c", {kSeed}));
  EXPECT_EQ(cache(service->ask(edit("c", {kSeed}))), "miss");
}

TEST_F(Repeats, AreMadeAgainWhereTheDiskHoldsSomethingElse) {
  start();
  service->ask(edit("p", {kSeed}));
  service->ask(request("GET", "/livez"));  // the result is kept after the reply
  for (const auto& entry : std::filesystem::directory_iterator(state / "cache"))
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) - 1);
  const Reply reply = service->ask(edit("p", {kSeed}));
  EXPECT_EQ(cache(reply), "miss");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(cache(service->ask(edit("p", {kSeed}))), "hit");
}

TEST_F(Repeats, InProgressAreEditedOnce) {
  start();
  const std::string asked = edit("hold " + (model / "release").string(), {kSeed});
  Client first(service->port()), leaving(service->port()), second(service->port());
  first.send(asked);
  ASSERT_TRUE(eventually([&] { return edits() == 1; }));
  leaving.send(asked);
  second.send(asked);
  ASSERT_TRUE(eventually([&] { return service->metric("holdall_cache_requests_total{result=\"joined\"}") == 2; }));
  leaving.close();
  ASSERT_TRUE(eventually([&] { return service->metric("holdall_connections{state=\"open\"}") == 2; }));
  model.write("release");
  const auto one = first.read_reply(), other = second.read_reply();
  ASSERT_TRUE(one && other);
  EXPECT_EQ(cache(*one), "miss");
  EXPECT_EQ(cache(*other), "joined");
  EXPECT_EQ(one->body, other->body);
  EXPECT_EQ(edits(), 1);
}

TEST_F(Repeats, InProgressAreCancelledOnceAllHaveLeft) {
  start();
  const std::string asked = edit("hold " + (model / "never").string(), {kSeed});
  Client first(service->port()), second(service->port());
  first.send(asked);
  ASSERT_TRUE(eventually([&] { return edits() == 1; }));
  second.send(asked);
  ASSERT_TRUE(eventually([&] { return service->metric("holdall_cache_requests_total{result=\"joined\"}") == 1; }));
  first.close();
  second.close();
  EXPECT_TRUE(eventually([&] { return model.read("log").find("cancelled") != std::string::npos; }));
  EXPECT_EQ(service->ask(edit("p")).status, 200);
}

TEST_F(Repeats, WithAnIdempotencyKeyHaveOneResult) {
  start();
  const Reply first = service->ask(edit("p", {}, key("k1"))), again = service->ask(edit("p", {}, key("k1")));
  ASSERT_EQ(first.status, 200);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(cache(again), "hit");
  const Reply other = service->ask(edit("q", {}, key("k1")));
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.error()["code"], "idempotency_mismatch");
  const Reply another = service->ask(edit("p", {}, key("k2")));
  EXPECT_NE(another.json()["data"][0]["seed"], first.json()["data"][0]["seed"]);
  start(R"({"cache":{"max_bytes":0}})");
  EXPECT_EQ(service->ask(edit("p", {}, key("k1"))).json()["data"][0]["seed"], first.json()["data"][0]["seed"])
      << "without the cache it is made again, of the same seed";
  EXPECT_EQ(service->ask(edit("p", {}, "Idempotency-Key: " + std::string(256, 'k') + "\r\n")).status, 400);
}

TEST_F(Repeats, OfAJobWithAnIdempotencyKeyAreTheSameJob) {
  start();
  const std::string headers = key("j") + "Prefer: respond-async\r\n";
  const Reply first = service->ask(edit("p", {}, headers)), again = service->ask(edit("p", {}, headers));
  ASSERT_EQ(first.status, 202);
  EXPECT_EQ(again.status, 202);
  EXPECT_EQ(again.headers.at("location"), first.headers.at("location"));
  EXPECT_EQ(service->ask(edit("q", {}, headers)).status, 422);
  EXPECT_EQ(service->ask(request("GET", "/v1/jobs")).json()["data"].size(), 1u);
}

}  // namespace
}  // namespace holdall::runtime::service::testing
