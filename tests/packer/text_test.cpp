#include "packer/text.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "packer/box.h"

namespace holdall::packer {
namespace {

TEST(Text, IsSharedByItsCopiesAndOutlivesTheFirst) {
  std::optional<Text> first("lib/one");
  const Text copy = *first;
  EXPECT_EQ(copy.view().data(), first->view().data());
  first.reset();
  EXPECT_EQ(copy, "lib/one");
}

TEST(Text, ComparesAndJoinsAsStringsDo) {
  const Text text("lib/one");
  EXPECT_EQ(text, Text(std::string("lib/one")));
  EXPECT_LT(text, Text("lib/two"));
  EXPECT_NE(text, std::string("lib/two"));
  EXPECT_EQ("'" + text + "'", "'lib/one'");
  EXPECT_EQ(text + "/more", "lib/one/more");
  EXPECT_TRUE(text.starts_with("lib/") && text.ends_with("one"));
  EXPECT_EQ(text.find("one"), 4u);
}

TEST(Text, IsEmptyOnceItIsMovedOrOfNothing) {
  Text text("a");
  const Text moved = std::move(text);
  EXPECT_EQ(moved, "a");
  EXPECT_TRUE(text.empty());  // NOLINT(bugprone-use-after-move): that it is empty is the contract
  EXPECT_TRUE(Text("").empty());
  EXPECT_EQ(Text().view(), "");
}

TEST(Box, CopiesWhatItHolds) {
  Box<std::vector<int>> one(std::vector<int>{1, 2});
  const Box<std::vector<int>> other = one;
  one->push_back(3);
  EXPECT_EQ(*other, (std::vector<int>{1, 2}));
  one.reset();
  EXPECT_TRUE(!one && one.empty() && !one.optional());
  EXPECT_THROW((void)one.value(), std::bad_optional_access);
}

}  // namespace
}  // namespace holdall::packer
