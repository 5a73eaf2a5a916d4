#include "packer/relocation/shebang.h"

#include <cstdlib>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

const std::vector<PrefixSpelling> kPrefixes{{"/envs/foo bar", ""}, {"/envs/foo", ""}, {"/base", "python"}};
const std::string kStart = "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'";

// The whole script afterwards; empty where nothing is changed.
std::string changed(const std::string& contents, const std::string& path = "bin/tool",
                    ShebangForm form = ShebangForm::kRelative) {
  const auto shebang = relocatable_shebang({contents, path, kPrefixes, form});
  return shebang ? shebang->text + contents.substr(shebang->replaced) : "";
}

TEST(Shebang, APythonScriptFindsItsInterpreterBesideItself) {
  EXPECT_EQ(changed("#!/envs/foo/bin/python3 -E\nimport sys\n"),
            kStart + "python3' -E \"$0\" \"$@\"\n' '''\nimport sys\n");
  EXPECT_EQ(changed("#! /envs/foo/bin/pypy3\n", "libexec/deep/tool"),
            kStart + "../../bin/pypy3' \"$0\" \"$@\"\n' '''\n");
  EXPECT_EQ(changed("#!/base/bin/python3\n"), kStart + "../python/bin/python3' \"$0\" \"$@\"\n' '''\n");
}

TEST(Shebang, OnlyRealScriptFoldersCount) {
  const std::string script = "#!/envs/foo/bin/python\n";
  for (const char* const path : {"bin/x", "sbin/x", "a/libexec/x", "lib/pkg/bin/deep/x"})
    EXPECT_NE(changed(script, path), "") << path;
  for (const char* const path : {"binutils/x", "share/x", "bin", "xbin/x"})
    EXPECT_EQ(changed(script, path), "") << path;
}

TEST(Shebang, LeavesInterpretersOfOthersAlone) {
  for (const char* const script :
       {"#!/usr/bin/python3\n", "#!/envs/foo2/bin/python\n", "#!/envs/foo/bin/perl\n", "import sys\n",
        "#!/envs/foo/bin/bash\n", "#!\n", "#!/bin/sh\nexec /envs/foo/bin/python\n", ""})
    EXPECT_EQ(changed(script), "") << script;
}

TEST(Shebang, KeepsALineThatMustStayAShebang) {
  for (const char* const script :
       {"#!/envs/foo/bin/python\n# -*- coding: latin-1 -*-\n",
        "#!/envs/foo/bin/python\n# vim: set fileencoding=cp1252 :\n",
        "#!/envs/foo/bin/python2\n# coding: utf-8\nx = '\xC3\xA9'\n",
        "#!/envs/foo/bin/python\n\"\"\"Usage\"\"\"\nprint(__doc__)\n",
        "#!/envs/foo/bin/python\n# about\n\n'''Usage'''\nfrom __future__ import annotations\n",
        "#!/envs/foo/bin/python\nr\"Usage\"\nfrom __future__ import annotations\n",
        "#!/envs/foo/bin/python -c 'import sys'\n", "#!/envs/foo/bin/python $X\n"})
    EXPECT_EQ(changed(script), "") << script;
}

// pip gives every script of a venv such a second line: Python 3 reads UTF-8 without it.
TEST(Shebang, LetsACookieGoThatSaysNothing) {
  EXPECT_NE(changed("#!/envs/foo/bin/python3\n# -*- coding: utf-8 -*-\nx = '\xC3\xA9'\n"), "");
  EXPECT_NE(changed("#!/envs/foo/bin/python\n# -*- coding: utf-8 -*-\nimport re\n"), "");
  EXPECT_NE(changed("#!/envs/foo/bin/python\n# all encodings are equal\nimport re\n"), "");
}

TEST(Shebang, AnImportFromTheFutureMayFollowTheNewLine) {
  EXPECT_NE(changed("#!/envs/foo/bin/python\n# about\nfrom __future__ import annotations\n"), "");
}

// What pip, distlib and conda write where a line would be too long or has blanks.
TEST(Shebang, UnderstandsTheLongForms) {
  const std::string expected = kStart + "python3.11' \"$0\" \"$@\"\n' '''\nimport sys\n";
  for (const char* const head : {"#!/bin/sh\n'''exec' /envs/foo/bin/python3.11 \"$0\" \"$@\"\n' '''\n",
                                 "#!/bin/sh\n'''exec' \"/envs/foo bar/bin/python3.11\" \"$0\" \"$@\"\n' '''\n",
                                 "#!/bin/sh\n'''exec' '/envs/foo bar/bin/python3.11' \"$0\" \"$@\"\n' '''\n",
                                 "#!/bin/sh\n'''exec' \"/envs/foo bar/bin/python3.11\" \"$0\" \"$@\" #'''\n"})
    EXPECT_EQ(changed(std::string(head) + "import sys\n"), expected) << head;
  EXPECT_EQ(changed("#!/bin/sh\n'''exec' /envs/foo/bin/python -E \"$0\" \"$@\"\n' '''\n"),
            kStart + "python' -E \"$0\" \"$@\"\n' '''\n");
  for (const char* const other :
       {"#!/bin/sh\n'''exec' /usr/bin/python3 \"$0\" \"$@\"\n' '''\n", "#!/bin/sh\n'''exec' \"/envs/foo/bin/python",
        "#!/bin/sh\n'''exec' /envs/foo/bin/python \"$0\"\n' '''\n", "#!/bin/sh\n'''exec' "})
    EXPECT_EQ(changed(other), "") << other;
}

TEST(Shebang, AsCondaPackHasIt) {
  EXPECT_EQ(changed("#!/envs/foo/bin/python\nx\n", "bin/t", ShebangForm::kEnv), "#!/usr/bin/env python\nx\n");
  EXPECT_EQ(changed("#!/envs/foo/bin/perl -w\n", "bin/t", ShebangForm::kEnv), "#!/usr/bin/env -S perl -w\n");
  EXPECT_EQ(changed("#!/envs/foo/bin/python\n\"\"\"Usage\"\"\"\nprint(__doc__)\n", "bin/t", ShebangForm::kEnv),
            "#!/usr/bin/env python\n\"\"\"Usage\"\"\"\nprint(__doc__)\n");
  EXPECT_EQ(changed("#!/usr/bin/python\n", "bin/t", ShebangForm::kEnv), "");
}

// The interpreter is a shell script that looks at what it is given.
TEST(Shebang, TheShellReallyRunsTheScriptWhereverItLies) {
  const TemporaryFolder folder;
  folder.write("a b'c/bin/python3",
               "#!/bin/sh\n[ \"$1\" = -E ] && [ \"${2##*/}\" = link ] && [ \"$3\" = 'two words' ]\n");
  const std::string tool = folder.write("a b'c/bin/tool", changed("#!/envs/foo/bin/python3 -E\nimport sys\n"));
  for (const std::string& path : {folder.path("a b'c/bin/python3"), tool})
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  std::filesystem::create_symlink(tool, folder.path("link"));
  EXPECT_EQ(std::system(("'" + folder.path("link") + "' 'two words'").c_str()), 0);
}

}  // namespace
}  // namespace holdall::packer
