#include "packer/prefix_rewrite.h"

#include <cstdlib>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

const std::string kHeld(bundle::kPlaceholder);
const std::vector<std::string> kPrefixes{"/envs/foo", "/real/envs/foo"};

TEST(PrefixRewrite, ReplacesThePrefixAtBoundariesAndRecordsWhere) {
  const auto rewritten = rewrite_text("a=/envs/foo/lib b=/envs/foo2 c=/real/envs/foo\n", kPrefixes, "share/x.pc");
  ASSERT_TRUE(rewritten.has_value());
  EXPECT_EQ(rewritten->contents, "a=" + kHeld + "/lib b=/envs/foo2 c=" + kHeld + "\n");
  ASSERT_EQ(rewritten->relocations.size(), 2U);
  EXPECT_EQ(bundle::relocate(rewritten->contents, rewritten->relocations, "/srv/x"),
            "a=/srv/x/lib b=/envs/foo2 c=/srv/x\n");
}

TEST(PrefixRewrite, LeavesTextWithoutThePrefixAndBinariesAlone) {
  EXPECT_FALSE(rewrite_text("a=/envs/foo2\n", kPrefixes, "share/x").has_value());
  EXPECT_FALSE(rewrite_text(std::string("a=/envs/foo\0", 12), kPrefixes, "share/x").has_value());
  EXPECT_FALSE(rewrite_text("a=/envs/foo\n", {}, "share/x").has_value());
}

TEST(PrefixRewrite, TwoBuildFoldersGiveTheSameBytes) {
  const auto one = rewrite_text("p=/one/place/lib\n", {"/one/place"}, "etc/x");
  const auto two = rewrite_text("p=/another/much/longer/lib\n", {"/another/much/longer"}, "etc/x");
  EXPECT_EQ(one->contents, two->contents);
}

TEST(PrefixRewrite, APythonScriptFindsItsInterpreterBesideItself) {
  const auto rewritten = rewrite_text("#!/envs/foo/bin/python3 -E\nimport sys\n", kPrefixes, "bin/tool");
  ASSERT_TRUE(rewritten.has_value());
  EXPECT_EQ(rewritten->contents,
            "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' -E \"$0\" \"$@\"\n' '''\nimport "
            "sys\n");
  EXPECT_TRUE(rewritten->relocations.empty());
  EXPECT_TRUE(
      relocatable_shebang("#!/envs/foo/bin/python\n", kPrefixes, "libexec/deep/tool")->find("/'../../bin/python'") !=
      std::string::npos);
}

TEST(PrefixRewrite, TheShellReallyRunsTheRewrittenScript) {
  const TemporaryFolder folder;
  folder.write("bin/python3", "#!/bin/sh\n[ \"$1\" = -E ] && [ \"${2##*/}\" = link ] && [ \"$3\" = 'two words' ]\n");
  const auto rewritten = rewrite_text("#!/envs/foo/bin/python3 -E\nimport sys\n", kPrefixes, "bin/tool");
  const std::string tool = folder.write("bin/tool", rewritten->contents);
  std::filesystem::permissions(folder.path("bin/python3"), std::filesystem::perms::owner_all);
  std::filesystem::permissions(tool, std::filesystem::perms::owner_all);
  std::filesystem::create_symlink(tool, folder.path("link"));
  EXPECT_EQ(std::system(("'" + folder.path("link") + "' 'two words'").c_str()), 0);
}

TEST(PrefixRewrite, KeepsAShebangThatMustStay) {
  for (const char* const script : {"#!/envs/foo/bin/perl\n", "#!/envs/foo/bin/python\n# -*- coding: latin-1 -*-\n",
                                   "#!/envs/foo/bin/python\nfrom __future__ import annotations\n",
                                   "#!/envs/foo/bin/python\n\"\"\"Usage\"\"\"\nprint(__doc__)\n"}) {
    EXPECT_FALSE(relocatable_shebang(script, kPrefixes, "bin/tool").has_value()) << script;
    const auto rewritten = rewrite_text(script, kPrefixes, "bin/tool");
    ASSERT_TRUE(rewritten.has_value());
    EXPECT_TRUE(rewritten->contents.starts_with("#!" + kHeld + "/bin/")) << rewritten->contents;
    EXPECT_EQ(rewritten->relocations.size(), 1U);
  }
}

TEST(PrefixRewrite, OnlyScriptFoldersGetTheShellForm) {
  EXPECT_FALSE(relocatable_shebang("#!/envs/foo/bin/python\n", kPrefixes, "binutils/tool").has_value());
  EXPECT_FALSE(relocatable_shebang("#!/usr/bin/python3\n", kPrefixes, "bin/tool").has_value());
  EXPECT_TRUE(relocatable_shebang("#! /envs/foo/bin/python\n", kPrefixes, "a/sbin/tool").has_value());
}

}  // namespace
}  // namespace holdall::packer
