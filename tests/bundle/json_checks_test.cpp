#include "bundle/json_checks.h"

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

// Empty: it passed.
std::string refusal(const std::string& text, JsonGuard::Limits limits, bool forgets = false) {
  JsonGuard guard("bad text", limits);
  try {
    const auto on_event = [&](int depth, auto event, const nlohmann::json& parsed) {
      guard(depth, event, parsed);
      if (forgets && event == nlohmann::json::parse_event_t::object_end) guard.forget_values();
      return true;
    };
    EXPECT_EQ(nlohmann::json::parse(text, on_event).is_array(), text.starts_with('['));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadBundle);
    return error.what();
  }
  return {};
}

TEST(JsonGuard, CountsValuesOfEveryKind) {
  for (const char* const four : {"[0,1,2]", R"(["a",null,true])", "[[],[],[]]", R"([{"a":[]},{}])"}) {
    EXPECT_EQ(refusal(four, {.max_values = 4}), "") << four;
    EXPECT_EQ(refusal(four, {.max_values = 3}), "bad text: more than 3 values") << four;
  }
}

TEST(JsonGuard, CountsNoneThatIsNotKept) {
  const std::string text = R"([{"a":0},{"b":1},{"c":2}])";
  EXPECT_EQ(refusal(text, {.max_values = 3}), "bad text: more than 3 values");
  EXPECT_EQ(refusal(text, {.max_values = 3}, true), "");
}

TEST(JsonGuard, BoundsDepthAndKeys) {
  EXPECT_EQ(refusal(R"({"a":[[]]})", {.max_depth = 2}), "");
  EXPECT_EQ(refusal(R"({"a":[[]]})", {.max_depth = 1}), "bad text: nested deeper than 1");
  EXPECT_EQ(refusal(R"({"a":0,"b":1})", {.max_keys = 1}), "bad text: an object of over 1 keys");
  EXPECT_EQ(refusal(R"({"a":0,"a":1})", {}), "bad text: key 'a' is given twice");
}

}  // namespace
}  // namespace holdall::bundle
