#include "bundle/relocation_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bundle/error.h"

namespace holdall::bundle {
namespace {

using ::testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, '0');

std::string refusal(const std::string& text) {
  try {
    parse_relocation_list(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadBundle) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << text.substr(0, 1000);
  return {};
}

std::string file(const std::string& name, const std::string& relocations = R"([["text",0,24]])") {
  return R"({"name":")" + name + R"(","mode":420,"size":100,"digest":")" + kDigest + R"(","relocations":)" +
         relocations + "}";
}

std::string list(const std::string& files, const std::string& links = "") {
  return R"({"version":1,"files":[)" + files + R"(],"links":[)" + links + "]}";
}

TEST(RelocationList, ParsesWhatItWrites) {
  const RelocationList given{
      .files = {{"bin/tool", true, 90, sha256(std::as_bytes(std::span("x", 1))), {{RelocationKind::kText, 2, 24, 0}}},
                {"lib/\xC3\xA9", false, 500, {}, {{RelocationKind::kBinary, 8, 96, 200, TextEncoding::kUtf32Le}}}},
      .links = {{"bin/python3", "/usr/bin/python3"}}};
  const RelocationList got = parse_relocation_list(to_json(given));
  ASSERT_EQ(got.files.size(), 2U);
  EXPECT_EQ(got.files[0].path, "bin/tool");
  EXPECT_TRUE(got.files[0].executable && !got.files[1].executable);
  EXPECT_EQ(got.files[0].digest, given.files[0].digest);
  EXPECT_EQ(got.files[1].size, 500U);
  EXPECT_EQ(got.files[1].records[0].encoding, TextEncoding::kUtf32Le);
  EXPECT_EQ(got.links.at(0).target, "/usr/bin/python3");
  EXPECT_EQ(to_json(got), to_json(given));
}

TEST(RelocationList, AcceptsAnEmptyOne) {
  EXPECT_TRUE(parse_relocation_list(to_json(RelocationList{})).files.empty());
}

TEST(RelocationList, RefusesPathsThatLeadOut) {
  for (const char* const name : {"../x", "/etc/passwd", "a//b", "", ".", "a/./b"})
    EXPECT_FALSE(refusal(list(file(name))).empty()) << name;
  EXPECT_THAT(refusal(list("", R"({"name":"../python","linkName":"/usr/bin/python3"})")), HasSubstr("'../python'"));
}

TEST(RelocationList, RefusesAPathThatStandsTwice) {
  EXPECT_THAT(refusal(list(file("a") + "," + file("a"))), HasSubstr("'a' is listed twice"));
  EXPECT_THAT(refusal(list(file("a"), R"({"name":"a","linkName":"/x"})")), HasSubstr("'a' is listed twice"));
}

TEST(RelocationList, RefusesLinksThatAreNoProgramsOfTheHost) {
  for (const char* const target : {"python3", "../python3", ""})
    EXPECT_THAT(refusal(list("", std::string(R"({"name":"p","linkName":")") + target + "\"}")),
                HasSubstr("absolute path"));
}

TEST(RelocationList, RefusesRecordsOutsideTheirFile) {
  for (const char* const records : {R"([["text",77,24]])", R"([["binary",0,24,101]])", "[]", "{}", R"([["text",0,0]])"})
    EXPECT_FALSE(refusal(list(file("a", records))).empty()) << records;
}

TEST(RelocationList, RefusesANewerVersionAndWhatIsNoList) {
  EXPECT_THAT(refusal(R"({"version":2,"files":[],"links":[]})"), HasSubstr("upgrade holdall"));
  for (const char* const text : {"", "[]", "{}", "null", R"({"version":1})", R"({"version":1,"files":{},"links":[]})"})
    EXPECT_FALSE(refusal(text).empty()) << text;
}

// Two bytes of text for sixteen and more of memory.
TEST(RelocationList, RefusesMoreValuesThanAnyTreeNeeds) {
  if (std::string_view(HOLDALL_SANITIZERS) != "") GTEST_SKIP() << "16 million values take minutes with sanitizers";
  std::string values(32'000'000, '0');
  for (std::size_t i = 1; i < values.size(); i += 2) values[i] = ',';
  values.back() = '0';
  EXPECT_THAT(refusal(list(values)), HasSubstr("more than 16000000 values"));
}

TEST(RelocationList, KeepsOnePrefixALine) {
  const std::vector<std::string> prefixes{"/srv/a b", "/opt/\xF6"};
  EXPECT_EQ(prefix_lines(prefixes), "/srv/a b\n/opt/\xF6\n");
  EXPECT_EQ(parse_prefix_lines(prefix_lines(prefixes)), prefixes);
  EXPECT_EQ(parse_prefix_lines("/no/newline"), std::vector<std::string>{"/no/newline"});
  EXPECT_TRUE(parse_prefix_lines("\n\n").empty());
}

}  // namespace
}  // namespace holdall::bundle
