// What the main listener makes of HTTP itself, good and hostile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using ::testing::HasSubstr;

class Http : public ::testing::Test {
 protected:
  void SetUp() override { service.wait_ready(); }
  Reply raw(const std::string& bytes) { return service.ask(bytes); }

  Folder model;
  ServiceProcess service{model};
};

TEST_F(Http, ListsAndDescribesItsModel) {
  const auto list = raw(request("GET", "/v1/models")).json();
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["data"][0]["id"], "fake-edit");
  EXPECT_EQ(raw(request("GET", "/v1/models/fake-edit")).json()["id"], "fake-edit");
  EXPECT_EQ(raw(request("GET", "/v1/models/fake%2Dedit")).status, 200);
  const Reply other = raw(request("GET", "/v1/models/gpt-image-1"));
  EXPECT_EQ(other.status, 404);
  EXPECT_EQ(other.error()["code"], "model_not_found");
}

TEST_F(Http, AnswersProbesOnTheMainListenerToo) {
  EXPECT_EQ(raw(request("GET", "/livez")).status, 200);
  EXPECT_EQ(raw(request("GET", "/readyz")).status, 200);
  EXPECT_THAT(raw(request("GET", "/metrics")).body, HasSubstr("holdall_ready 1"));
}

TEST_F(Http, RefusesUnknownPathsAndMethodsInTheShapeClientsRead) {
  const Reply missing = raw(request("GET", "/v2/images"));
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.headers.at("content-type"), "application/json");
  for (const char* key : {"message", "type", "param", "code"}) EXPECT_TRUE(missing.error().contains(key)) << key;
  const Reply method = raw(request("GET", "/v1/images/edits"));
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.at("allow"), "POST");
  EXPECT_EQ(raw(request("DELETE", "/v1/models")).status, 405);
  EXPECT_EQ(raw(request("POST", "/v1/images/generations", "{}", "application/json")).status, 400);
}

TEST_F(Http, KeepsAConnectionAlsoAfterARefusal) {
  Client client(service.port());
  client.send(request("GET", "/nothing"));
  EXPECT_EQ(client.read_reply()->status, 404);
  client.send(edit("bad"));
  EXPECT_EQ(client.read_reply()->status, 400);
  client.send(edit("p"));
  EXPECT_EQ(client.read_reply()->status, 200);
}

TEST_F(Http, AnswersPipelinedRequestsInOrder) {
  Client client(service.port());
  client.send(request("GET", "/livez") + edit("p") + request("GET", "/nothing") + request("GET", "/v1/models"));
  EXPECT_EQ(client.read_reply()->status, 200);
  EXPECT_EQ(client.read_reply()->json()["data"].size(), 1u);
  EXPECT_EQ(client.read_reply()->status, 404);
  EXPECT_EQ(client.read_reply()->json()["object"], "list");
}

TEST_F(Http, AnswersHeadWithoutABody) {
  Client client(service.port());
  client.send(request("HEAD", "/v1/models"));
  const auto reply = client.read_reply(true);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_NE(reply->headers.at("content-length"), "0");
  client.send(request("GET", "/livez"));
  EXPECT_EQ(client.read_reply()->status, 200);
}

TEST_F(Http, EndsTheConnectionOfAnHttp10Client) {
  Client client(service.port());
  client.send("GET /livez HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.read_reply()->status, 200);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(Http, RefusesRequestsWhoseEndIsInDoubt) {
  const std::string post = "POST /v1/images/edits HTTP/1.1\r\nHost: a\r\n";
  for (const std::string& bad : {
           post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
           post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
           post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
           post + "Content-Length: -1\r\n\r\n",
           post + "Content-Length: +5\r\n\r\nhello",
           post + "Content-Length: 99999999999999999999999\r\n\r\n",
           post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           post + "Transfer-Encoding: xchunked\r\n\r\n",
           std::string("GET /livez HTTP/1.1\r\n\r\n"),
           std::string("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
           std::string("GET /livez HTTP/1.1\r\nHost : a\r\n\r\n"),
           std::string("GET livez HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /livez HTTP/3.0\r\nHost: a\r\n\r\n"),
           std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),
       }) {
    Client client(service.port());
    client.send(bad);
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply) << bad;
    EXPECT_EQ(reply->status, bad.find("99999999") == bad.npos ? 400 : reply->status) << bad;
    EXPECT_GE(reply->status, 400) << bad;
    EXPECT_TRUE(reply->json().contains("error"));
    EXPECT_TRUE(client.closed_by_server()) << bad;
  }
}

TEST_F(Http, RefusesAHeaderOf64Kb) {
  EXPECT_EQ(raw(request("GET", "/livez", "", "", "X: " + std::string(64 << 10, 'x') + "\r\n")).status, 431);
}

TEST_F(Http, RefusesABodyOverTheLimitBeforeItIsSent) {
  Client client(service.port());
  client.send(
      "POST /v1/images/edits HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: "
      "100-continue\r\nContent-Length: 67108865\r\n\r\n");
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 413);
  EXPECT_EQ(reply->error()["code"], "body_too_large");
}

TEST_F(Http, DeliversARefusalToAClientThatIsStillSending) {
  Client client(service.port());
  client.send(
      "POST /v1/images/edits HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 8000000\r\n\r\n");
  client.send(std::string(8'000'000, 'x'));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 415);
}

TEST_F(Http, TakesABodyInChunksAndAfterAContinue) {
  const std::string json = R"({"prompt":"p","image":"data:image/png;base64,AQ=="})";
  const std::string head = "POST /v1/images/edits HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
  std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  for (const char c : json) chunked += std::string("1\r\n") + c + "\r\n";
  EXPECT_EQ(raw(chunked + "0\r\n\r\n").status, 200);
  EXPECT_EQ(
      raw(head + "Expect: 100-continue\r\nContent-Length: " + std::to_string(json.size()) + "\r\n\r\n" + json).status,
      200);
  EXPECT_EQ(raw(head + "Expect: magic\r\nContent-Length: 2\r\n\r\n{}").status, 417);
}

TEST_F(Http, GivesEveryReplyItsRequestId) {
  EXPECT_THAT(raw(request("GET", "/livez")).headers.at("x-request-id"), ::testing::StartsWith("req_"));
  EXPECT_EQ(raw(request("GET", "/livez", "", "", "X-Request-Id: mine-1\r\n")).headers.at("x-request-id"), "mine-1");
  EXPECT_NE(raw(request("GET", "/livez", "", "", "X-Request-Id: not \"plain\"\r\n")).headers.at("x-request-id"),
            "not \"plain\"");
}

TEST_F(Http, CountsRequestsByRouteNeverByTheClientsWords) {
  raw(request("GET", "/surprise"));
  raw(request("BREW", "/surprise"));
  ASSERT_TRUE(eventually([&] {
    return service.metric("holdall_http_requests_total{code=\"404\",method=\"other\",route=\"other\"}") == 1;
  })) << service.probe("/metrics").body;
  EXPECT_EQ(service.probe("/metrics").body.find("surprise"), std::string::npos);
  EXPECT_EQ(service.probe("/metrics").body.find("BREW"), std::string::npos);
}

TEST_F(Http, CountsFromZeroSoThatTheFirstEventIsAnIncrease) {
  for (const char* series :
       {"holdall_worker_restarts_total{reason=\"hung\"}", "holdall_gpu_oom_total{stage=\"denoise\"}",
        "holdall_cache_requests_total{result=\"hit\"}", "holdall_auth_failures_total{reason=\"unknown\"}",
        "holdall_stage_duration_seconds_count{stage=\"vae\"}"})
    EXPECT_EQ(service.metric(series), 0) << series;
}

}  // namespace
}  // namespace holdall::runtime::service::testing
