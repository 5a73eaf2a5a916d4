#include "tests/packer/inputs/conda_fixture.h"

namespace holdall::packer {
namespace {

using nlohmann::json;

const std::string kOldPlaceholder = std::string("/opt/anaconda1anaconda2") + "anaconda3";

bool warns(const Collection& collection, const std::string& part) {
  return std::ranges::any_of(collection.warnings,
                             [&](const std::string& line) { return line.find(part) != line.npos; });
}

TEST(CondaEnvironment, TakesPrefixModesFromItsOwnRecords) {
  CondaFixture conda;
  const std::string placeholder(255, 'p');
  conda.add("tool", {{"bin/tool", "text", placeholder}, {"lib/libtool.so", "binary", placeholder}, {"share/doc"}});
  const Collection found = conda.collected();
  EXPECT_EQ(leaves(found), (std::vector<std::string>{"bin/tool", "conda-meta/history", "conda-meta/tool-1.0-0.json",
                                                     "lib/libtool.so", "share/doc"}));
  EXPECT_EQ(member_at(found, "bin/tool")->prefix_use, PrefixUse::kText);
  EXPECT_EQ(member_at(found, "lib/libtool.so")->prefix_use, PrefixUse::kBinary);
  EXPECT_EQ(placeholder_of(found, *member_at(found, "lib/libtool.so")), placeholder);
  EXPECT_EQ(member_at(found, "share/doc")->prefix_use, PrefixUse::kNone);
  EXPECT_EQ(member_at(found, "conda-meta/history")->prefix_use, PrefixUse::kUnknown);
  EXPECT_EQ(member_at(found, "conda-meta/tool-1.0-0.json")->role, MemberRole::kCondaRecord);
  EXPECT_EQ(found.packages.at(member_at(found, "bin/tool")->package).name, "tool");
  EXPECT_EQ(found.roots.at(0).kind, InputKind::kConda);
  EXPECT_TRUE(found.warnings.empty()) << found.warnings.front();
}

TEST(CondaEnvironment, ReadsThePackageCacheWhereARecordHasNoPaths) {
  CondaFixture conda;
  for (const char* const file : {"bin/a", "bin/b", "lib/c.so", "lib/d"})
    conda.folder.write(std::string("env/") + file, "x");
  conda.folder.write("pkgs/new/info/paths.json",
                     json{{"paths_version", 1},
                          {"paths", {{{"_path", "bin/a"}, {"file_mode", "text"}, {"prefix_placeholder", "/ph"}}}}}
                         .dump());
  conda.write_record({{"name", "new"},
                      {"version", "1.0"},
                      {"files", {"bin/a"}},
                      {"link", {{"source", conda.folder.path("pkgs/new")}, {"type", 1}}}});
  conda.folder.write("pkgs/old/info/files", "bin/b\nlib/c.so\n\nlib/d\n");
  conda.folder.write("pkgs/old/info/has_prefix", "bin/b\n\"/long/placeholder\" binary 'lib/c.so'\n");
  conda.write_record({{"name", "old"},
                      {"version", "1.0"},
                      {"files", {"bin/b", "lib/c.so", "lib/d"}},
                      {"link", {{"source", conda.folder.path("pkgs/old")}}}});
  const Collection found = conda.collected();
  EXPECT_EQ(member_at(found, "bin/a")->prefix_use, PrefixUse::kText);
  EXPECT_EQ(placeholder_of(found, *member_at(found, "bin/a")), "/ph");
  EXPECT_EQ(placeholder_of(found, *member_at(found, "bin/b")), kOldPlaceholder);
  EXPECT_EQ(member_at(found, "lib/c.so")->prefix_use, PrefixUse::kBinary);
  EXPECT_EQ(placeholder_of(found, *member_at(found, "lib/c.so")), "/long/placeholder");
  EXPECT_EQ(member_at(found, "lib/d")->prefix_use, PrefixUse::kNone);
}

TEST(CondaEnvironment, LooksForThePrefixWhereNobodyKnows) {
  CondaFixture conda;
  conda.folder.write("env/bin/a", "x");
  conda.write_record({{"name", "a"}, {"version", "1.0"}, {"files", {"bin/a"}}, {"link", nullptr}});
  const Collection found = conda.collected();
  EXPECT_EQ(member_at(found, "bin/a")->prefix_use, PrefixUse::kUnknown);
  EXPECT_TRUE(warns(found, "a 1.0"));
}

TEST(CondaEnvironment, MapsNoarchPackagesToThePythonThatIsThere) {
  CondaFixture conda;
  conda.add("python", {{"bin/python3.11"}}, {{"version", "3.11.7"}});
  for (const char* const file : {"env/lib/python3.11/site-packages/m.py", "env/bin/m"}) conda.folder.write(file, "x");
  conda.folder.write("pkgs/m/info/link.json", R"({"noarch": {"type": "python"}, "package_metadata_version": 1})");
  conda.folder.write("pkgs/m/info/files", "site-packages/m.py\npython-scripts/m\n");
  conda.folder.write("pkgs/m/info/has_prefix", "/ph text python-scripts/m\n");
  conda.write_record(
      {{"name", "m"},
       {"version", "1.0"},
       {"link", {{"source", conda.folder.path("pkgs/m")}}},
       {"files",
        {"bin/m", "lib/python3.11/site-packages/m.py", "lib/python3.11/site-packages/__pycache__/m.cpython-311.pyc"}}});
  const Collection found = conda.collected();  // the .pyc that did not compile is no missing file
  EXPECT_EQ(member_at(found, "bin/m")->prefix_use, PrefixUse::kText);
  EXPECT_EQ(member_at(found, "lib/python3.11/site-packages/m.py")->prefix_use, PrefixUse::kNone);
}

TEST(CondaEnvironment, HonoursTheSitePackagesThatPythonNames) {
  CondaFixture conda;
  conda.add("python", {{"bin/python3.13"}},
            {{"version", "3.13.1"}, {"python_site_packages_path", "lib/python3.13t/site-packages"}});
  conda.folder.write("env/lib/python3.13t/site-packages/m.py", "x");
  conda.add("m", {},
            {{"noarch", "python"},
             {"files", {"lib/python3.13t/site-packages/m.py"}},
             {"paths_data",
              {{"paths", {{{"_path", "site-packages/m.py"}, {"file_mode", "text"}, {"prefix_placeholder", "/ph"}}}}}}});
  EXPECT_EQ(member_at(conda.collected(), "lib/python3.13t/site-packages/m.py")->prefix_use, PrefixUse::kText);
}

TEST(CondaEnvironment, RefusesANoarchPackageWithoutPython) {
  CondaFixture conda;
  conda.add("m", {{"bin/m"}}, {{"noarch", "python"}});
  const auto refused = thrown_by([&] { conda.collected(); });
  EXPECT_TRUE(refused.kind == bundle::ErrorKind::kCannotPack && refused.says("'m'")) << refused.message;
}

TEST(CondaEnvironment, ListsThreeMissingFilesOfEachPackage) {
  CondaFixture conda;
  std::vector<CondaFixture::File> files;
  for (int i = 0; i < 6; ++i) files.push_back({"lib/f" + std::to_string(i)});
  conda.add("many", files);
  conda.add("few", {{"bin/x"}});
  for (const auto& file : files) std::filesystem::remove(conda.folder.path("env/" + file.path));
  std::filesystem::remove(conda.folder.path("env/bin/x"));
  const auto refused = thrown_by([&] { conda.collected(); });
  EXPECT_EQ(refused.kind, bundle::ErrorKind::kCannotPack);
  EXPECT_TRUE(refused.says("many 1.0:\n    lib/f0\n    lib/f1\n    lib/f2\n    + 3 others")) << refused.message;
  EXPECT_TRUE(refused.says("few 1.0:\n    bin/x")) << refused.message;
  EXPECT_TRUE(refused.says("--ignore-missing-files"));
  const Collection found = conda.collected({.folder = {}, .to = {}, .missing_files = Tolerance::kAccept});
  EXPECT_EQ(member_at(found, "bin/x"), nullptr);
  EXPECT_TRUE(warns(found, "many 1.0"));
}

TEST(CondaEnvironment, LeavesOutWhatIsNotOfTheEnvironment) {
  CondaFixture conda;
  conda.add("python", {{"lib/python3.11/a.py"}, {"bin/owned"}}, {{"version", "3.11.0"}});
  for (const char* const file :
       {"pkgs/x", "envs/other/bin/y", "conda-bld/z", ".index/i", "note~", ".DS_STORE", "bin/conda", "bin/activate",
        "bin/deactivate", "lib/python3.11/__pycache__/a.cpython-311.pyc",
        "lib/python3.11/__pycache__/a.cpython-311.opt-1.pyc", "lib/pkgs/kept",
        "lib/python3.11/__pycache__/mine.cpython-311.pyc", "lib/python3.11/mine.py", "lib/kept~"}) {
    conda.folder.write(std::string("env/") + file, "x");
  }
  EXPECT_EQ(leaves(conda.collected()),
            (std::vector<std::string>{"bin/owned", "conda-meta/history", "conda-meta/python-1.0-0.json", "lib/kept~",
                                      "lib/pkgs/kept", "lib/python3.11/__pycache__/mine.cpython-311.pyc",
                                      "lib/python3.11/a.py", "lib/python3.11/mine.py"}));
}

TEST(CondaEnvironment, KeepsAnActivateThatAPackageOwns) {
  CondaFixture conda;
  conda.add("conda", {{"bin/activate"}});
  EXPECT_NE(member_at(conda.collected(), "bin/activate"), nullptr);
}

TEST(CondaEnvironment, NamesFilesThatTwoPackagesBrought) {
  CondaFixture conda;
  conda.add("a", {{"lib/shared", "text", "/one"}});
  conda.add("b", {{"lib/shared", "binary", "/two"}});
  const Collection found = conda.collected();
  EXPECT_EQ(member_at(found, "lib/shared")->prefix_use, PrefixUse::kUnknown);
  EXPECT_TRUE(warns(found, "'a' and 'b' both brought: lib/shared"));
}

TEST(CondaEnvironment, KnowsCondasOwnFiles) {
  CondaFixture conda;
  conda.add("a", {{"bin/a"}});
  const Collection found = conda.collected();
  EXPECT_EQ(member_at(found, "conda-meta/a-1.0-0.json")->role, MemberRole::kCondaRecord);
  EXPECT_EQ(member_at(found, "conda-meta/history")->role, MemberRole::kCondaHistory);
}

TEST(CondaEnvironment, RefusesEditablePackages) {
  CondaFixture conda;
  conda.add("python", {{"bin/python3.11"}}, {{"version", "3.11.0"}});
  const std::string site = "env/lib/python3.11/site-packages/";
  conda.folder.write(site + "mine-1.dist-info/direct_url.json",
                     R"({"url": "file:///x", "dir_info": {"editable": true}})");
  conda.folder.write(site + "theirs-1.dist-info/direct_url.json", R"({"url": "file:///x", "dir_info": {}})");
  conda.folder.write(site + "broken-1.dist-info/direct_url.json", "{");
  conda.folder.write("elsewhere/x.py", "");
  conda.folder.write(site + "away.pth", conda.folder.path("elsewhere") + "\n");
  conda.folder.write(site + "fine.pth", "# a comment\nimport os; os.x\n../..\n/no/such/folder\n");
  const auto refused = thrown_by([&] { conda.collected(); });
  EXPECT_TRUE(refused.says("away.pth mine:")) << refused.message;
  const Collection found = conda.collected({.folder = {}, .to = {}, .editable_packages = Tolerance::kAccept});
  EXPECT_TRUE(warns(found, "away.pth mine"));
}

TEST(CondaEnvironment, KnowsThePipPackagesInIt) {
  CondaFixture conda;
  conda.add("python", {{"bin/python3.11"}}, {{"version", "3.11.0"}});
  const std::string site = "env/lib/python3.11/site-packages/";
  conda.folder.write(site + "pkg/__init__.py", "x");
  conda.folder.write("env/bin/pkg", "x");
  conda.folder.write(site + "pkg-2.5.dist-info/RECORD",
                     "pkg/__init__.py,sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE,1\n../../../bin/pkg,,\n");
  const Collection found = conda.collected();
  const Member& member = *member_at(found, "bin/pkg");
  ASSERT_NE(member.package, Member::kNone);
  EXPECT_EQ(found.packages.at(member.package).name, "pkg");
  EXPECT_EQ(found.packages.at(member.package).version, "2.5");
  const Member& source = *member_at(found, "lib/python3.11/site-packages/pkg/__init__.py");
  ASSERT_NE(source.digest, Member::kNone);
  EXPECT_EQ(found.digests.at(source.digest), bundle::sha256(std::as_bytes(std::span("x", 1))));
}

TEST(CondaEnvironment, NamesABrokenRecord) {
  CondaFixture conda;
  for (const char* const text : {"", "{", "[]", "{\"name\": 1}", "{\"name\": \"x\", \"files\": [1]}",
                                 "{\"name\": \"x\", \"paths_data\": {\"paths\": [1]}}",
                                 "{\"name\": \"x\", \"paths_data\": {\"paths\": [{\"_path\": \"a\", "
                                 "\"prefix_placeholder\": \"/p\", \"file_mode\": \"odd\"}]}}"}) {
    conda.folder.write("env/conda-meta/x.json", text);
    const auto refused = thrown_by([&] { conda.collected(); });
    EXPECT_EQ(refused.kind, bundle::ErrorKind::kCannotPack) << text;
    EXPECT_TRUE(refused.says("conda-meta/x.json")) << text << refused.message;
  }
}

}  // namespace
}  // namespace holdall::packer
