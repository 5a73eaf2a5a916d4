#include <algorithm>

#include "packer/inputs/base_python.h"
#include "tests/packer/inputs/conda_fixture.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;
using bundle::ErrorKind;

// A base installation with a real ELF file as its interpreter and one extension module that needs a library, and a
// venv.
class VenvFixture {
 public:
  VenvFixture() {
    folder.library("base/lib/libneeded.so.1");
    folder.compile("base/lib/python3.11/lib-dynload/_x.so", "int x(void) { return 1; }\n",
                   "-shared -fPIC -Wl,--no-as-needed base/lib/libneeded.so.1");
    folder.program("base/bin/python3.11");
    folder.write("base/lib/python3.11/os.py", "import sys\n");
    folder.write("base/lib/python3.11/config/libpython3.11.a", "!<arch>\n");
    folder.write("base/lib/python3.11/site-packages/pip.py", "");
    folder.write("base/include/python3.11/Python.h", "");
    folder.write("etc/sitecustomize.py", "# the machine's\n");
    fs::create_symlink(folder.path("etc/sitecustomize.py"), folder.path("base/lib/python3.11/sitecustomize.py"));
    fs::remove(folder.path("compiled.c"));

    folder.write("venv/pyvenv.cfg", "home = " + folder.path("base/bin") +
                                        "\ninclude-system-site-packages = false\nversion = 3.11.2\nexecutable = " +
                                        folder.path("base/bin/python3.11") + "\ncommand = python -m venv x\n");
    folder.write("venv/lib/python3.11/site-packages/m.py", "");
    folder.write("venv/bin/activate", "VIRTUAL_ENV=" + folder.path("venv") + "\n");
    fs::create_symlink(folder.path("base/bin/python3.11"), folder.path("venv/bin/python3"));
    fs::create_symlink("python3", folder.path("venv/bin/python"));
    fs::create_symlink("lib", folder.path("venv/lib64"));
  }

  Collection collected(InputRequest request = {}) const {
    request.folder = folder.path("venv");
    return collect({request});
  }

  std::string settings(const Collection& found) const {
    return found.substitutes.at(member_at(found, "pyvenv.cfg")->substitute).contents;
  }

  TemporaryFolder folder;
};

TEST(Venv, PacksItsInterpreterWithItsLibraries) {
  const VenvFixture venv;
  const Collection found = venv.collected();
  EXPECT_EQ(leaves(found),
            (std::vector<std::string>{
                "bin/activate", "bin/python", "bin/python3", "lib/python3.11/site-packages/m.py", "lib64",
                "python-base/bin/python", "python-base/bin/python3", "python-base/bin/python3.11",
                "python-base/lib/libneeded.so.1", "python-base/lib/python3.11/lib-dynload/_x.so",
                "python-base/lib/python3.11/os.py", "python-base/lib/python3.11/sitecustomize.py", "pyvenv.cfg"}));
  EXPECT_EQ(member_at(found, "bin/python3")->link_target, "../python-base/bin/python3.11");
  EXPECT_EQ(member_at(found, "bin/python")->link_target, "python3");
  EXPECT_EQ(member_at(found, "bin/activate")->role, MemberRole::kVenvActivate);
  const Member& program = *member_at(found, "python-base/bin/python3.11");
  EXPECT_TRUE(program.executable && program.role == MemberRole::kInterpreter);
  EXPECT_EQ(source_of(found, program), venv.folder.path("base/bin/python3.11"));
  EXPECT_EQ(found.roots.at(program.root).prefixes, std::vector<std::string>{venv.folder.path("base")});
  EXPECT_TRUE(found.roots.at(program.root).self_locating);
  EXPECT_EQ(member_at(found, "python-base/lib/python3.11/sitecustomize.py")->type, EntryType::kRegular);
  EXPECT_EQ(venv.settings(found), "home = " + venv.folder.path("venv/python-base/bin") +
                                      "\ninclude-system-site-packages = false\nversion = 3.11.2\n");
  EXPECT_TRUE(found.warnings.empty()) << found.warnings.front();
}

TEST(Venv, LinksToTheTargetsInterpreterOnDemand) {
  const VenvFixture venv;
  const Collection found =
      venv.collected({.folder = {}, .to = {}, .python = PythonSource::kHost, .python_prefix = "/opt/python"});
  EXPECT_EQ(member_at(found, "python-base/bin/python3.11"), nullptr);
  const Member& link = *member_at(found, "bin/python3");
  EXPECT_EQ(link.role, MemberRole::kHostLink);
  EXPECT_EQ(link.link_target, "/opt/python/bin/python3.11");
  EXPECT_EQ(member_at(found, "bin/python")->role, MemberRole::kPlain);
  EXPECT_TRUE(venv.settings(found).starts_with("home = /opt/python/bin\n"));
}

// A pattern for the venv's own lib/ must not take the standard library away.
TEST(Venv, IsFilteredByThePathInTheEnvironment) {
  const VenvFixture venv;
  for (const std::string to : {"", "env"}) {
    const auto paths = [&](const std::string& pattern) {
      return leaves(venv.collected({.folder = {}, .to = to, .filters = {{Filter::Kind::kExclude, pattern}}}));
    };
    const std::string at = to.empty() ? "" : to + "/";
    const auto has = [&](const std::vector<std::string>& found, const std::string& path) {
      return std::ranges::find(found, at + path) != found.end();
    };
    const auto outer = paths("lib/python3.11/*");
    EXPECT_FALSE(has(outer, "lib/python3.11/site-packages/m.py"));
    EXPECT_TRUE(has(outer, "python-base/lib/python3.11/os.py"));
    const auto inner = paths("python-base/lib/python3.11/lib-dynload/*");
    EXPECT_TRUE(has(inner, "python-base/lib/python3.11/os.py"));
    EXPECT_FALSE(has(inner, "python-base/lib/python3.11/lib-dynload/_x.so"));
  }
}

TEST(Venv, TakesACopiedInterpreterForTheSame) {
  const VenvFixture venv;
  fs::remove(venv.folder.path("venv/bin/python3"));
  fs::copy_file(venv.folder.path("base/bin/python3.11"), venv.folder.path("venv/bin/python3"));
  const Collection found = venv.collected();
  EXPECT_EQ(member_at(found, "bin/python3")->type, EntryType::kSymlink);
  EXPECT_EQ(member_at(found, "bin/python3")->link_target, "../python-base/bin/python3.11");
}

TEST(Venv, WarnsOfAModuleThatMissesALibrary) {
  const VenvFixture venv;
  fs::remove(venv.folder.path("base/lib/libneeded.so.1"));
  const Collection found = venv.collected();
  ASSERT_EQ(found.warnings.size(), 1U);
  EXPECT_NE(found.warnings[0].find("_x.so"), std::string::npos);
}

TEST(Venv, RefusesWhatItCannotPack) {
  const VenvFixture venv;
  const auto refusal = [&] { return thrown_by([&] { venv.collected(); }); };
  fs::create_symlink("/etc/hostname", venv.folder.path("venv/bin/away"));
  EXPECT_TRUE(refusal().says("bin/away"));
  fs::remove(venv.folder.path("venv/bin/away"));
  venv.folder.write("venv/pyvenv.cfg",
                    "home = " + venv.folder.path("base/bin") + "\nInclude-System-Site-Packages = true\n");
  EXPECT_TRUE(refusal().says("--system-site-packages"));
  fs::remove_all(venv.folder.path("base"));
  venv.folder.write("venv/pyvenv.cfg", "home = " + venv.folder.path("base/bin") + "\n");
  EXPECT_TRUE(refusal().says("its interpreter is not there") && refusal().says("--python-prefix"));
  fs::create_directories(venv.folder.path("venv/lib/python3.9/site-packages"));
  EXPECT_TRUE(refusal().says("more than one"));
}

}  // namespace
}  // namespace holdall::packer
