#include "packer/output/zip_rules.h"

#include <algorithm>
#include <map>

#include "bundle/relocation_list.h"
#include "packer/plan_layout.h"
#include "packer/relocation/make_relocatable.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;
using bundle::ErrorKind;

PlannedMember file(const std::string& path, const std::string& contents, bool relocated = false) {
  PlannedMember member;
  member.entry.path = path;
  member.entry.size = contents.size();
  member.change().contents = contents;
  if (relocated) {
    member.entry.relocations = {{.kind = bundle::RelocationKind::kText, .offset = 0, .length = 24}};
    member.expected = bundle::Digest{};
  }
  return member;
}

PlannedMember link(const std::string& path, const std::string& target) {
  PlannedMember member;
  member.entry.path = path;
  member.entry.type = EntryType::kSymlink;
  member.entry.link_target = target;
  return member;
}

PackPlan plan_of(std::vector<PlannedMember> members) {
  PackPlan plan;
  plan.members = std::move(members);
  add_relocation_list(plan.members, {});
  add_parent_folders(plan);
  sort_for_start_up(plan);
  count_members(plan);
  return plan;
}

// Path → contents; "/" for folders, "-> target" for links.
std::map<std::string, std::string> tree_of(const PackPlan& plan) {
  std::map<std::string, std::string> tree;
  for (const PlannedMember& member : plan.members) {
    const bundle::Entry& entry = member.entry;
    const bool fresh = tree.emplace(entry.path, entry.type == EntryType::kDirectory ? "/"
                                                : entry.type == EntryType::kSymlink ? "-> " + entry.link_target
                                                                                    : member.special().contents)
                           .second;
    EXPECT_TRUE(fresh) << entry.path << " is there twice";
  }
  return tree;
}

using Tree = std::map<std::string, std::string>;

TEST(LinkCopies, StandForFilesAndFolders) {
  PackPlan plan = plan_of({file("lib/libx.so.1", "x"), link("lib/libx.so", "libx.so.1"), link("lib64", "lib"),
                           link("bin/far", "../lib64/libx.so"), link("bin/dotted", "./../bin/../lib/libx.so.1")});
  copy_linked_files(plan);
  EXPECT_EQ(tree_of(plan), (Tree{{"bin", "/"},
                                 {"bin/dotted", "x"},
                                 {"bin/far", "x"},
                                 {"lib", "/"},
                                 {"lib/libx.so", "x"},
                                 {"lib/libx.so.1", "x"},
                                 {"lib64", "/"},
                                 {"lib64/libx.so", "x"},
                                 {"lib64/libx.so.1", "x"}}));
  EXPECT_EQ(plan.info.files, 6U);
  EXPECT_EQ(plan.info.bytes, 6U);
  EXPECT_EQ(plan.info.requires_host.disk_bytes, 9U * 4096);
}

TEST(LinkCopies, AreRelocatedToo) {
  PackPlan plan = plan_of({file("etc/a.conf", "/holdall-prefix-3b1f9c52", true), link("etc/b.conf", "a.conf"),
                           link("conf", "etc"), file("etc/plain", "p")});
  copy_linked_files(plan);
  const auto listed = std::ranges::find_if(
      plan.members, [](const PlannedMember& member) { return member.entry.path == bundle::kRelocationListPath; });
  ASSERT_NE(listed, plan.members.end());
  EXPECT_EQ(listed->entry.size, listed->special().contents.size());
  std::vector<std::string> paths;
  for (const auto& relocated : bundle::parse_relocation_list(listed->special().contents).files)
    paths.push_back(relocated.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"conf/a.conf", "conf/b.conf", "etc/a.conf", "etc/b.conf"}));
}

TEST(LinkCopies, AreRefusedWhereALinkLeadsNowhere) {
  PackPlan plan = plan_of({file("share/a", "a"), link("share/gone", "nothing"), link("share/through", "a/b"),
                           link("share/up", "../.."), link("share/loop", "pool"), link("share/pool", "loop")});
  const auto thrown = thrown_by([&] { copy_linked_files(plan); });
  EXPECT_EQ(thrown.kind, ErrorKind::kCannotPack);
  for (const char* name : {"gone", "through", "up", "loop", "pool"})
    EXPECT_TRUE(thrown.says(std::string("'share/") + name + "' leads to")) << thrown.message;
  EXPECT_TRUE(thrown.says("--zip-symlinks"));
}

TEST(LinkCopies, AreRefusedWhereTheyWouldHaveNoEnd) {
  for (const char* target : {".", "../a", "../a/b", "../../a"}) {
    PackPlan plan = plan_of({file("a/f", "f"), file("a/b/f", "f"), link("a/b/l", target)});
    EXPECT_TRUE(thrown_by([&] { copy_linked_files(plan); }).says("'a/b/l' leads to")) << target;
  }
  // Each folder has a link to the other one.
  PackPlan plan = plan_of({link("a/x", "../b"), link("b/y", "../a")});
  EXPECT_TRUE(thrown_by([&] { copy_linked_files(plan); }).says("which holds the link itself"));
}

TEST(ZipRules, RefuseWhatAZipCannotHold) {
  EXPECT_NO_THROW(check_zip(plan_of({file("a b\nc", "")}), {Zip64::kNever}));
  EXPECT_TRUE(
      thrown_by([] { check_zip(plan_of({file("a\\b", "")}), {Zip64::kWhereNeeded}); }).says("'a\\b' has a back"));
  PackPlan large = plan_of({file("a", ""), file("b", "")});
  large.members[1].entry.size = 0xFF00'0000;
  EXPECT_NO_THROW(check_zip(large, {Zip64::kNever}));
  large.members[1].entry.size = 0xFF00'0001;
  EXPECT_NO_THROW(check_zip(large, {Zip64::kWhereNeeded}));
  EXPECT_TRUE(thrown_by([&] { check_zip(large, {Zip64::kNever}); }).says("leave out --no-zip-64"));
  // What is stored does not grow.
  EXPECT_NO_THROW(check_zip(large, {Zip64::kNever, 0}));
  large.members[1].entry.size = 0x1'0000'0000;
  EXPECT_TRUE(thrown_by([&] { check_zip(large, {Zip64::kNever, 0}); }).says("leave out --no-zip-64"));
  PackPlan many;
  many.members.assign(0xFFFE - 2, file("a", ""));
  EXPECT_NO_THROW(check_zip(many, {Zip64::kNever}));
  many.members.push_back(file("b", ""));
  EXPECT_NO_THROW(check_zip(many, {Zip64::kWhereNeeded}));
  EXPECT_TRUE(thrown_by([&] { check_zip(many, {Zip64::kNever}); }).says("leave out --no-zip-64"));
}

}  // namespace
}  // namespace holdall::packer
