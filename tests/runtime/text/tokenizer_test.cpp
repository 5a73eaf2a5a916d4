#include "runtime/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/error.h"
#include "runtime/text/splitter.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::text {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

// A vocabulary of the 256 bytes (the id is the byte) and a few merges: h+e, l+l, he+ll, hell+o, Ġ+hello, é's two bytes.
struct Files {
  Json vocabulary = Json::object(), merges = Json::array(), added = Json::array();

  Files() {
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
      vocabulary[utf8(printable ? byte : next++)] = byte;
    }
    for (const auto& [left, right] : std::vector<std::pair<std::string, std::string>>{
             {"h", "e"}, {"l", "l"}, {"he", "ll"}, {"hell", "o"}, {"Ġ", "hello"}, {"Ã", "©"}}) {
      vocabulary[left + right] = 256 + merges.size();
      merges.push_back({left, right});
    }
    add("<|im_start|>", true);
    add("<|image_pad|>", true);
    add("<tool_call>", false);
  }

  static std::string utf8(int code) {
    if (code < 0x80) return {static_cast<char>(code)};
    return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
  }

  void add(const std::string& content, bool special) {
    added.push_back({{"id", 300 + added.size()},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }

  Json json() const {
    const Json split = {
        {"type", "Split"}, {"pattern", {{"Regex", Splitter::pattern()}}}, {"behavior", "Isolated"}, {"invert", false}};
    const Json bytes = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
    return {
        {"added_tokens", added},
        {"normalizer", {{"type", "NFC"}}},
        {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}},
        {"model",
         {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"vocab", vocabulary}, {"merges", merges}}}};
  }
};

class TokenizerTest : public testing::Test {
 protected:
  Tokenizer load(const Json& json) {
    folder_.write("tokenizer.json", json.dump());
    return Tokenizer::load(folder_.path());
  }
  void expect_refused(const Json& json, const std::string& why) {
    try {
      load(json);
      FAIL() << "accepted, needed: " << why;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadModel);
      EXPECT_THAT(error.what(), HasSubstr(why));
    }
  }
  Files files_;
  tests::TemporaryFolder folder_;
};

TEST_F(TokenizerTest, MergesByRankThenPosition) {
  const Tokenizer tokenizer = load(files_.json());
  EXPECT_THAT(tokenizer.encode("hello hello"), ElementsAre(259, 260));
  EXPECT_THAT(tokenizer.encode("lll"), ElementsAre(257, 'l'));
  EXPECT_THAT(tokenizer.encode("hel"), ElementsAre(256, 'l'));
  EXPECT_THAT(tokenizer.encode(""), ElementsAre());
}

TEST_F(TokenizerTest, NormalizesBeforeMerging) {
  EXPECT_THAT(load(files_.json()).encode("e\u0301"), ElementsAre(261));
}

TEST_F(TokenizerTest, ReplacesInvalidBytes) {
  EXPECT_THAT(load(files_.json()).encode("a\xff"), ElementsAre('a', 0xef, 0xbf, 0xbd));
}

TEST_F(TokenizerTest, FindsAddedTokensFirst) {
  const Tokenizer tokenizer = load(files_.json());
  EXPECT_THAT(tokenizer.encode("a<|im_start|>hello<tool_call>"), ElementsAre('a', 300, 259, 302));
  EXPECT_THAT(tokenizer.encode("<|im_start"), ElementsAre('<', '|', 'i', 'm', '_', 's', 't', 'a', 'r', 't'));
}

TEST_F(TokenizerTest, PrefersTheLongestAddedToken) {
  files_.add("<tool_call>>", false);
  EXPECT_THAT(load(files_.json()).encode("<tool_call>>>"), ElementsAre(303, '>'));
}

TEST_F(TokenizerTest, HonoursTheFlagsOfAddedTokens) {
  files_.add("word", false);
  files_.added[3]["single_word"] = true;
  files_.add("<left>", false);
  files_.added[4]["lstrip"] = true;
  files_.add("<right>", false);
  files_.added[5]["rstrip"] = true;
  files_.add("\u00e9!", false);
  files_.added[6]["normalized"] = true;
  const Tokenizer tokenizer = load(files_.json());
  EXPECT_THAT(tokenizer.encode("word!"), ElementsAre(303, '!'));
  EXPECT_THAT(tokenizer.encode("words"), ElementsAre('w', 'o', 'r', 'd', 's'));
  EXPECT_THAT(tokenizer.encode("a \u3000<left> b"), ElementsAre('a', 304, ' ', 'b'));
  EXPECT_THAT(tokenizer.encode("a <right> \n b"), ElementsAre('a', ' ', 305, 'b'));
  EXPECT_THAT(tokenizer.encode("e\u0301!"), ElementsAre(306));
}

TEST_F(TokenizerTest, ReadsMergesAsStringsToo) {
  Json json = files_.json();
  for (Json& merge : json["model"]["merges"]) merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  EXPECT_THAT(load(json).encode("hello"), ElementsAre(259));
}

TEST_F(TokenizerTest, ReadsVocabularyAndMergesFiles) {
  std::string merges = "#version: 0.2\n";
  for (const Json& merge : files_.merges)
    merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\r\n";
  folder_.write("vocab.json", files_.vocabulary.dump());
  folder_.write("merges.txt", merges);
  folder_.write("tokenizer_config.json", Json{{"added_tokens_decoder", {{"300", files_.added[0]}}}}.dump());
  folder_.write("added_tokens.json", Json{{"<|im_start|>", 300}, {"<tool_call>", 302}}.dump());
  const Tokenizer tokenizer = Tokenizer::load(folder_.path());
  EXPECT_THAT(tokenizer.encode("<|im_start|> hello<tool_call>"), ElementsAre(300, 260, 302));
}

TEST_F(TokenizerTest, GivesTheIdOfAnAddedTokenOnly) {
  const Tokenizer tokenizer = load(files_.json());
  EXPECT_EQ(tokenizer.id_of("<|image_pad|>"), 301);
  EXPECT_THROW(tokenizer.id_of("hello"), Error);
}

TEST_F(TokenizerTest, RefusesWhatWouldTokenizeOtherwise) {
  Json json = files_.json();
  json["model"]["type"] = "Unigram";
  expect_refused(json, "the model is 'Unigram', not 'BPE'");
  json = files_.json();
  json["normalizer"] = nullptr;
  expect_refused(json, "the normalizer is 'none', not 'NFC'");
  json = files_.json();
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\w+";
  expect_refused(json, "not cut by Qwen2's pattern");
  json = files_.json();
  json["model"]["dropout"] = 0.1;
  expect_refused(json, "'dropout' is not known here: 0.1");
  json = files_.json();
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
             start = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  json["post_processor"] = {{"type", "TemplateProcessing"}, {"single", Json::array({text})}};
  EXPECT_THAT(load(json).encode("hello"), ElementsAre(259));
  json["post_processor"]["single"] = Json::array({start, text});
  expect_refused(json, "the post-processor adds tokens");
}

TEST_F(TokenizerTest, RefusesBrokenFilesByName) {
  Json json = files_.json();
  json["model"]["merges"].push_back({"q", "w"});
  expect_refused(json, "merges name 'qw'");
  json = files_.json();
  json["model"]["merges"][0] = "he";
  expect_refused(json, "the merge 'he' is not two tokens");
  json = files_.json();
  json["model"]["vocab"]["x"] = -4;
  expect_refused(json, "the id of 'x' is -4");
  json = files_.json();
  json["model"]["vocab"]["x"] = "one";
  expect_refused(json, "tokenizer.json");
  for (const Json& id : {Json(-1), Json(1.5), Json(true), Json(std::uint64_t{1} << 63)}) {
    json = files_.json();
    json["added_tokens"][0]["id"] = id;
    expect_refused(json, "the id of '<|im_start|>' is " + id.dump());
  }
  json = files_.json();
  json["added_tokens"][0].erase("id");
  expect_refused(json, "tokenizer.json");
}

TEST_F(TokenizerTest, SaysWhatIsMissing) {
  try {
    Tokenizer::load(folder_.path() / "absent");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("need tokenizer.json, or vocab.json and merges.txt"));
  }
}

// A quadratic merge or a backtracking pattern would take minutes.
TEST_F(TokenizerTest, TakesHostileTextsInLinearTime) {
  const Tokenizer tokenizer = load(files_.json());
  const auto begin = std::chrono::steady_clock::now();
  constexpr std::size_t kSize = 200000;
  EXPECT_EQ(tokenizer.encode(std::string(kSize, 'l')).size(), kSize / 2);
  EXPECT_EQ(tokenizer.encode(std::string(kSize, ' ') + "x").size(), kSize + 1);
  EXPECT_EQ(tokenizer.encode(std::string(kSize, '\n')).size(), kSize);
  EXPECT_EQ(tokenizer.encode(std::string(kSize, '<')).size(), kSize);
  std::string alternating;
  for (std::size_t i = 0; i < kSize / 4; ++i) alternating += "  \r!";
  EXPECT_EQ(tokenizer.encode(alternating).size(), kSize);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace holdall::runtime::text
