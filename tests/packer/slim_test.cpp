#include "packer/slim.h"

#include <gtest/gtest.h>

#include "packer/plan.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;

std::string rule_of(const std::string& path) {
  const SlimRule* const rule = slim_rule_for(path);
  return rule == nullptr ? "stays" : rule->name;
}

TEST(Slim, NamesTheRuleThatDropsAPath) {
  EXPECT_EQ(rule_of("lib/libz.a"), "static-archives");
  EXPECT_EQ(rule_of("lib/libtool.la"), "static-archives");
  EXPECT_EQ(rule_of("include/c++/12/vector.h"), "headers");
  EXPECT_EQ(rule_of("lib/python3.11/site-packages/torch/include/ATen/ATen.h"), "headers");
  EXPECT_EQ(rule_of("lib/python3.11/site-packages/pandas/tests/data/x.csv"), "tests");
  EXPECT_EQ(rule_of("lib/python3.11/test/test_os.py"), "tests");
  EXPECT_EQ(rule_of("lib/python3.11/unittest/test/dummy.py"), "tests");
  EXPECT_EQ(rule_of("lib/python3.11/__pycache__/os.cpython-311.pyc"), "pycache");
  EXPECT_EQ(rule_of("share/man/man1/openssl.1"), "docs");
  EXPECT_EQ(rule_of("share/doc/zlib/README"), "docs");
}

TEST(Slim, KeepsWhatRunsAndWhatTheLawWants) {
  for (const char* const path :
       {"bin/tests", "lib/libz.so.1", "lib/python3.11/site-packages/django/test/client.py", "lib/python3.11/os.py",
        "lib/python3.11/site-packages/numpy/testing/__init__.py", "share/doc/zlib/copyright", "share/doc/x/LICENSE.txt",
        "share/licenses/zlib1g/copyright", "include/LICENSE.h", "lib/python3.11/site-packages/x-1.dist-info/RECORD",
        "model/tests/a.a", "conda-meta/x.json", "tests/data.txt", "lib/python3.11/site-packages/x/include.py",
        "share/doctor/x"}) {
    EXPECT_EQ(rule_of(path), "stays") << path;
  }
}

PlannedMember member(const std::string& path, EntryType type, const std::string& target = "") {
  PlannedMember member;
  member.entry.path = path;
  member.entry.type = type;
  member.entry.link_target = target;
  member.entry.size = type == EntryType::kRegular ? 10 : 0;
  return member;
}

std::vector<PlannedMember> tree() {
  return {member("lib", EntryType::kDirectory),
          member("lib/libz.a", EntryType::kRegular),
          member("lib/libz.so", EntryType::kRegular),
          member("lib/libz-static.a", EntryType::kSymlink, "libz.a"),
          member("lib/again.lnk", EntryType::kSymlink, "libz-static.a"),
          member("man", EntryType::kSymlink, "share/man"),
          member("share", EntryType::kDirectory),
          member("share/empty", EntryType::kDirectory),
          member("share/man", EntryType::kDirectory),
          member("share/man/man1", EntryType::kDirectory),
          member("share/man/man1/a.1", EntryType::kRegular)};
}

std::vector<std::string> paths(const std::vector<PlannedMember>& members) {
  std::vector<std::string> result;
  for (const PlannedMember& member : members) result.push_back(member.entry.path);
  return result;
}

TEST(Slim, DropsFilesWithTheLinksToThemAndTheFoldersTheyLeaveEmpty) {
  std::vector<PlannedMember> members = tree();
  const auto drops = slim(members, Slimming::kDrop);
  // "share" held only the manual and an empty folder; that one was empty before, and stays.
  EXPECT_EQ(paths(members), (std::vector<std::string>{"lib", "lib/libz.so", "share", "share/empty"}));
  ASSERT_EQ(drops.size(), 2U);
  EXPECT_EQ(drops[0].rule, "static-archives");
  EXPECT_EQ(drops[0].files, 1U);
  EXPECT_EQ(drops[0].bytes, 10U);
  EXPECT_EQ(drops[1].rule, "docs");
}

TEST(Slim, OnlyTellsUnlessAsked) {
  std::vector<PlannedMember> members = tree();
  EXPECT_EQ(slim(members, Slimming::kNone).size(), 2U);
  EXPECT_EQ(members.size(), tree().size());
}

TEST(Slim, NeverTouchesVendorsFiles) {
  std::vector<PlannedMember> members{member("lib/libcudadevrt.a", EntryType::kRegular)};
  members.front().entry.vendor = true;
  EXPECT_TRUE(slim(members, Slimming::kDrop).empty());
  EXPECT_EQ(members.size(), 1U);
}

}  // namespace
}  // namespace holdall::packer
