#include "tests/packer/inputs/conda_fixture.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::ErrorKind;
using Kind = Filter::Kind;

std::vector<std::string> kept(const std::vector<Filter>& filters) {
  const TemporaryFolder folder;
  for (const char* const file : {"t/bin/a", "t/lib/b.pyx", "t/lib/sub/c.pyx", "t/lib/sub/d.so", "t/only/e.pyx"}) {
    folder.write(file, "");
  }
  fs::create_directories(folder.path("t/empty"));
  std::vector<std::string> paths;
  for (const Member& member : collect({{.folder = folder.path("t"), .to = {}, .filters = filters}}).members) {
    paths.push_back(member.path);
  }
  return paths;
}

TEST(Filters, ApplyInTheirOrder) {
  EXPECT_EQ(kept({{Kind::kExclude, "*.pyx"}}),
            (std::vector<std::string>{"bin", "bin/a", "empty", "lib", "lib/sub", "lib/sub/d.so"}));
  EXPECT_EQ(kept({{Kind::kExclude, "*"}, {Kind::kInclude, "lib/sub/*.pyx"}}),
            (std::vector<std::string>{"lib", "lib/sub", "lib/sub/c.pyx"}));
  EXPECT_EQ(kept({{Kind::kInclude, "lib/sub/*.pyx"}, {Kind::kExclude, "*"}}), (std::vector<std::string>{}));
  EXPECT_EQ(kept({{Kind::kExclude, "lib/*b.[!x]yx"}, {Kind::kExclude, "empty"}, {Kind::kExclude, "only/*"}}),
            (std::vector<std::string>{"bin", "bin/a", "lib", "lib/sub", "lib/sub/c.pyx", "lib/sub/d.so"}));
}

TEST(Collect, TellsWhatAFolderIs) {
  const TemporaryFolder folder;
  folder.write("conda/conda-meta/history", "");
  folder.write("conda/pyvenv.cfg", "");
  folder.write("venv/pyvenv.cfg", "");
  folder.write("plain/bin/x", "");
  EXPECT_EQ(kind_of_input(folder.path("conda")), InputKind::kConda);
  EXPECT_EQ(kind_of_input(folder.path("venv")), InputKind::kVenv);
  EXPECT_EQ(kind_of_input(folder.path("plain")), InputKind::kPrefix);
  EXPECT_EQ(thrown_by([&] { kind_of_input(folder.path("gone")); }).kind, ErrorKind::kNotFound);
  EXPECT_EQ(thrown_by([&] { kind_of_input(folder.path("plain/bin/x")); }).kind, ErrorKind::kNotFound);
}

TEST(Collect, KnowsAPrefixByBothItsNames) {
  const TemporaryFolder folder;
  folder.write("real/bin/x", "");
  fs::create_symlink("real", folder.path("a-longer-name"));
  const Collection found = collect({{.folder = folder.path("a-longer-name"), .to = {}}});
  EXPECT_EQ(found.roots.at(0).folder, folder.path("real"));
  EXPECT_EQ(found.roots.at(0).prefixes, (std::vector<std::string>{folder.path("a-longer-name"), folder.path("real")}));
}

TEST(Collect, PutsSeveralInputsIntoOneBundle) {
  CondaFixture conda;
  conda.add("tool", {{"bin/tool", "text", "/ph"}});
  const TemporaryFolder folder;
  folder.write("opt/lib/b", "");
  folder.write("app/env/extra", "");
  const Collection found = collect({{.folder = conda.env(), .to = "env"},
                                    {.folder = folder.path("opt"), .to = "", .layer = "system"},
                                    {.folder = folder.path("app"), .to = "", .layer = "app"}});
  EXPECT_EQ(leaves(found), (std::vector<std::string>{"env/bin/tool", "env/conda-meta/history",
                                                     "env/conda-meta/tool-1.0-0.json", "env/extra", "lib/b"}));
  const Member& tool = *member_at(found, "env/bin/tool");
  EXPECT_EQ(source_of(found, tool), conda.env() + "/bin/tool");
  EXPECT_EQ(placeholder_of(found, tool), "/ph");
  EXPECT_EQ(found.roots.at(tool.root).layer, "environment");
  EXPECT_EQ(source_of(found, *member_at(found, "env/extra")), folder.path("app/env/extra"));
}

TEST(Collect, RefusesTwoInputsForOnePlace) {
  const TemporaryFolder folder;
  folder.write("a/x/f", "");
  folder.write("b/f", "");
  const auto refused = thrown_by([&] {
    collect({{.folder = folder.path("a"), .to = ""}, {.folder = folder.path("b"), .to = "x"}});
  });
  EXPECT_EQ(refused.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(refused.says("'x/f'") && refused.says(folder.path("a/x/f")) && refused.says(folder.path("b/f")));
}

}  // namespace
}  // namespace holdall::packer
