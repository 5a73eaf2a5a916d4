// What there is beside edits: generations, chats, addresses of pictures, the description and the page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness.h"

namespace holdall::runtime::service::testing {
namespace {

using ::testing::HasSubstr;

std::string generation(const std::string& body) {
  return request("POST", "/v1/images/generations", body, "application/json");
}

TEST(Generations, AreRefusedByAModelThatEdits) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  const Reply reply = service.ask(generation(R"({"prompt":"p"})"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.error()["message"], HasSubstr("'fake-edit' only edits"));
  const Reply chat = service.ask(request("POST", "/v1/chat/completions", "{}", "application/json"));
  EXPECT_EQ(chat.status, 404);
  EXPECT_EQ(chat.error()["code"], "model_not_found");
  EXPECT_THAT(chat.error()["message"], HasSubstr("'fake-edit' for '/v1/images/edits'"));
}

TEST(Generations, AreMadeByAModelFromText) {
  Folder model;
  model.write("from_text");
  ServiceProcess service(model);
  service.wait_ready();
  const Reply reply = service.ask(generation(R"({"prompt":"p","n":2,"seed":5,"size":"64x32"})"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json()["data"].size(), 2u);
  EXPECT_EQ(reply.json()["data"][0]["b64_json"], "RlJPTSBURVhU");
  const std::string stream = service.ask(generation(R"({"prompt":"p","stream":true,"partial_images":2})")).body;
  EXPECT_THAT(stream,
              HasSubstr("event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\""));
  EXPECT_THAT(stream, HasSubstr("event: image_generation.completed\n"));
  EXPECT_EQ(service.ask(generation(R"({"prompt":"p","image":"data:;base64,AQ=="})")).error()["param"], "image");
  EXPECT_EQ(service.ask(generation(R"({"prompt":"p","strength":0.5})")).error()["param"], "strength");
  EXPECT_EQ(service.ask(edit("p")).status, 200) << "it starts from a picture, too";
  EXPECT_EQ(
      service.metric("holdall_http_requests_total{code=\"200\",method=\"POST\",route=\"/v1/images/generations\"}"), 2);
}

TEST(ContentUrls, AreGoodForWhoHasThemUntilTheyExpire) {
  Folder model, state;
  state.write("config.json", R"({"content":{"url_ttl_seconds":600}})");
  ServiceProcess service(model, {"--state", state.path().string(), "--config", (state / "config.json").string()});
  service.wait_ready();
  const Reply reply = service.ask(
      edit("p", {{"response_format", "url", ""}, {"output_format", "webp", ""}}, "X-Forwarded-Proto: https\r\n"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto data = reply.json()["data"][0];
  EXPECT_FALSE(data.contains("b64_json"));
  const std::string url = data["url"], base = "https://localhost";
  ASSERT_EQ(url.substr(0, base.size()), base);
  const Reply picture = service.ask(request("GET", url.substr(base.size())));
  EXPECT_EQ(picture.status, 200);
  EXPECT_EQ(picture.body, "PICTURE");
  EXPECT_EQ(picture.headers.at("content-type"), "image/webp");
  EXPECT_EQ(service.ask(request("GET", url.substr(base.size(), url.find('?') - base.size()))).status, 403);
  EXPECT_EQ(service.ask(edit("p", {{"response_format", "url", ""}, {"stream", "true", ""}})).error()["param"],
            "response_format");
}

TEST(Routes, NameTheMethodsThatAPathTakes) {
  Folder model;
  ServiceProcess service(model);
  service.wait_ready();
  const Reply reply = service.ask(request("DELETE", "/v1/models"));
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD");
  EXPECT_EQ(service.ask(request("GET", "/v1/images/edits")).headers.at("allow"), "POST");
  EXPECT_EQ(service.ask(request("GET", "/v1/images//content")).status, 404);
  EXPECT_EQ(service.ask(request("GET", "/v1/images/a/b/content")).status, 404);
  EXPECT_EQ(service.ask(request("GET", "/v1/models/no/such")).error()["code"], "model_not_found");
}

TEST(Routes, ShowPageAndDescriptionToWhoHasNoKey) {
  Folder model;
  const std::string keys = (model / "keys.json").string();
  ASSERT_EQ(
      std::system(
          (std::string(HOLDALL_EDIT) + " keys add --keys " + keys + " --name v --role viewer >/dev/null").c_str()),
      0);
  ServiceProcess service(model, {"--keys", keys});
  service.wait_ready();
  const Reply page = service.ask(request("GET", "/"));
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr(R"("holdall-keys" content="needed")"));
  EXPECT_EQ(service.ask(request("GET", "/openapi.json")).json()["openapi"], "3.1.0");
  for (const char* path : {"/v1/models", "/metrics", "/v1/jobs/x", "/nothing"})
    EXPECT_EQ(service.ask(request("GET", path)).status, 401) << path;
}

}  // namespace
}  // namespace holdall::runtime::service::testing
