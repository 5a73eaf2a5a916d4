// openapi.json is the truth about the service: what it lists is there, and nothing else is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/service/api.h"
#include "runtime/service/edits/edit_request.h"
#include "runtime/service/http/http_error.h"
#include "runtime/service/web/web.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

json document() {
  return json::parse(openapi_json());
}

TEST(OpenApi, ListsTheRoutesThatThereAre) {
  std::set<std::string> served, documented;
  for (const Route& route : routes()) served.insert(std::string(route.method) + " " + std::string(route.path));
  const json description = document();
  for (const auto& [path, operations] : description.at("paths").items())
    for (const auto& [method, operation] : operations.items()) {
      std::string name;
      for (const char c : method) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      documented.insert(name + " " + path);
    }
  EXPECT_EQ(served, documented);
}

// How a request with this one field more is refused; empty: it is not.
std::string refusal(const std::string& field, const std::string& value) {
  EditForm form{{{"prompt", "p"}}, {{std::byte{1}}}, std::nullopt};
  form.fields[field] = value;
  try {
    validate(std::move(form), {});
  } catch (const HttpError& error) {
    return error.code();
  }
  return "";
}

TEST(OpenApi, ListsFieldsThatAreTaken) {
  const json schemas = document().at("components").at("schemas");
  int fields = 0;
  for (const char* schema : {"EditForm", "EditJson", "GenerationJson"}) {
    EXPECT_EQ(schemas.at(schema).at("additionalProperties"), false);
    for (const auto& [field, value] : schemas.at(schema).at("properties").items()) {
      if (field.starts_with("image") || field == "mask") continue;
      ++fields;
      EXPECT_NE(refusal(field, "?"), "unknown_field") << field;
      for (const auto& choice : value.value("enum", json::array())) {
        if (choice == "url") continue;  // for a service that keeps pictures
        EXPECT_EQ(refusal(field, choice), "") << field << '=' << choice;
      }
    }
  }
  EXPECT_GT(fields, 40);
  EXPECT_EQ(refusal("colour", "?"), "unknown_field");
}

TEST(Page, RunsItsOwnScriptAlone) {
  const HttpReply reply = page_reply(false);
  std::string policy;
  for (const auto& [name, value] : reply.headers)
    if (name == "Content-Security-Policy") policy = value;
  EXPECT_THAT(policy, ::testing::HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_EQ(reply.body, page_html());
  EXPECT_NE(page_reply(true).body, page_html());
}

}  // namespace
}  // namespace holdall::runtime::service
