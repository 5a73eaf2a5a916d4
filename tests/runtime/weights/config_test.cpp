#include "runtime/weights/config.h"

#include <gtest/gtest.h>

#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::weights {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  Config read(std::string_view text) {
    folder_.write("config.json", text);
    return Config::read(folder_.path() / "config.json");
  }
  tests::TemporaryFolder folder_;
};

TEST_F(ConfigTest, GivesFieldsOfTheAskedType) {
  const auto config = read(R"({"a": {"b": [1, 2]}, "name": "x", "ratio": 0.5, "whole": 3, "on": true, "none": null})");
  EXPECT_EQ(config.get<std::vector<std::int64_t>>("/a/b"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(config.get<std::int64_t>("/a/b/1"), 2);
  EXPECT_EQ(config.get<std::string>("/name"), "x");
  EXPECT_EQ(config.get<double>("/ratio"), 0.5);
  EXPECT_EQ(config.get<double>("/whole"), 3.0);
  EXPECT_TRUE(config.get<bool>("/on"));
  EXPECT_EQ(config.count("/a/b"), 2u);
}

TEST_F(ConfigTest, TakesNullForAbsent) {
  const auto config = read(R"({"none": null})");
  EXPECT_FALSE(config.has("/none"));
  EXPECT_EQ(config.find<double>("/none"), std::nullopt);
  EXPECT_EQ(config.get<std::int64_t>("/none", 7), 7);
  EXPECT_EQ(config.dimension("/none", 8), 8);
}

// Printing what was found instead would recurse once per level.
TEST_F(ConfigTest, RefusesEndlessNesting) {
  constexpr std::size_t kLevels = 1'000'000;
  EXPECT_REFUSAL(read("{\"a\": " + std::string(kLevels, '[') + std::string(kLevels, ']') + "}"), kBadModel,
                 "config.json", "more than 100 levels");
  EXPECT_REFUSAL(read(std::string(kLevels, '[')), kBadModel, "more than 100 levels");
}

TEST_F(ConfigTest, NamesFileAndFieldOfWhatIsMissing) {
  const auto config = read("{}");
  EXPECT_REFUSAL(config.get<std::int64_t>("/z_dim"), kBadModel, "config.json", "'/z_dim' is missing", "a whole number");
}

TEST_F(ConfigTest, NamesWhatWasFoundInsteadOfTheNeededType) {
  const auto config = read(R"({"z_dim": "four", "list": [1, "two"], "huge": 18446744073709551615, "ratio": 1.5})");
  EXPECT_REFUSAL(config.get<std::int64_t>("/z_dim"), kBadModel, "'/z_dim' is \"four\"", "a whole number");
  EXPECT_REFUSAL(config.get<std::vector<std::int64_t>>("/list"), kBadModel, "[1,\"two\"]");
  EXPECT_REFUSAL(config.get<std::int64_t>("/huge"), kBadModel, "18446744073709551615");
  EXPECT_REFUSAL(config.get<std::int64_t>("/ratio"), kBadModel, "1.5");
}

TEST_F(ConfigTest, RefusesSizesThatCannotBeAllocated) {
  const auto config = read(R"({"zero": 0, "negative": -3, "huge": 99999999999})");
  EXPECT_REFUSAL(config.dimension("/zero"), kBadModel, "'/zero' is 0");
  EXPECT_REFUSAL(config.dimension("/negative"), kBadModel, "-3");
  EXPECT_REFUSAL(config.dimension("/huge", 1), kBadModel, "99999999999");
}

TEST_F(ConfigTest, RefusesAnotherClassByName) {
  const auto config = read(R"({"_class_name": "UNet2DModel"})");
  EXPECT_REFUSAL(config.require_class("QwenImageTransformer2DModel"), kBadModel, "'UNet2DModel'",
                 "'QwenImageTransformer2DModel'");
}

TEST_F(ConfigTest, RefusesWhatIsNoJsonObject) {
  EXPECT_REFUSAL(read(""), kBadModel, "not valid JSON");
  EXPECT_REFUSAL(read("[1]"), kBadModel, "no JSON object");
  EXPECT_REFUSAL(read("{\"a\": 1,}"), kBadModel, "not valid JSON");
  EXPECT_REFUSAL(read("{\"a\": 1} trailing"), kBadModel, "not valid JSON");
}

TEST_F(ConfigTest, RefusesAKeyThatComesTwice) {
  EXPECT_REFUSAL(read(R"({"outer": {"steps": 1, "steps": 2}})"), kBadModel, "\"steps\" comes twice");
}

TEST_F(ConfigTest, TellsAMissingFileFromABadOne) {
  EXPECT_REFUSAL(Config::read(folder_.path() / "absent.json"), kNotFound, "absent.json");
  EXPECT_REFUSAL(Config::read(folder_.path()), kStorage, folder_.path().c_str());
}

}  // namespace
}  // namespace holdall::runtime::weights
