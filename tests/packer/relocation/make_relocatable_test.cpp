#include "packer/relocation/make_relocatable.h"

#include <algorithm>
#include <chrono>

#include "packer/activate_scripts.h"
#include "packer/elf/edited_file.h"
#include "packer/wheel_records.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;

class MakeRelocatable : public ::testing::Test {
 protected:
  MakeRelocatable() {
    collection_.roots.push_back({.kind = InputKind::kPrefix,
                                 .folder = folder_.root(),
                                 .to = "",
                                 .layer = "environment",
                                 .prefixes = {folder_.root()}});
  }

  Member& add(const std::string& path, const std::string& contents, bool executable = false) {
    folder_.write(path, contents);
    Member& member = collection_.members.emplace_back();
    member.path = path;
    member.size = contents.size();
    member.mtime_ns = InputFile(folder_.path(path)).mtime_ns();
    member.executable = executable;
    return member;
  }
  void add_compiled(const std::string& name, const std::string& mode = "TIMESTAMP") {
    const std::string path = "lib/__pycache__/" + name + ".cpython-311.pyc";
    add(path, "");
    const std::string command = "python3 -I -c \"import py_compile; py_compile.compile('" + folder_.path("lib/") +
                                name + ".py', '" + folder_.path(path) +
                                "', doraise=True, invalidation_mode=py_compile.PycInvalidationMode." + mode + ")\"";
    ASSERT_EQ(std::system(command.c_str()), 0);
    collection_.members.back().size = fs::file_size(folder_.path(path));
    collection_.members.back().mtime_ns = InputFile(folder_.path(path)).mtime_ns();
  }
  RelocatableInputs made(const RelocationOptions& options = {}) { return make_relocatable(collection_, options); }

  static std::string contents_of(const PlannedMember& member) {
    std::shared_ptr<const ReadableFile> file;
    if (member.source.empty())
      file = std::make_shared<const MemoryFile>("", member.special().contents);
    else
      file = std::make_shared<const InputFile>(member.source);
    if (member.special().edit) file = std::make_shared<const EditedFile>(file, *member.special().edit);
    const SplicedFile spliced(file, member.special().splices);
    EXPECT_EQ(spliced.size(), member.entry.size) << member.entry.path;
    std::string result(spliced.size(), '\0');
    EXPECT_EQ(spliced.read_some(0, std::as_writable_bytes(std::span(result))), result.size());
    return result;
  }
  static const PlannedMember* find(const RelocatableInputs& inputs, const std::string& path) {
    const auto found =
        std::ranges::find(inputs.members, path, [](const PlannedMember& member) { return member.entry.path.view(); });
    return found == inputs.members.end() ? nullptr : &*found;
  }

  TemporaryFolder folder_;
  Collection collection_;
};

TEST_F(MakeRelocatable, PlansEachMemberWithItsDigestAsPacked) {
  add("etc/x", "p=" + folder_.root() + "/lib\n");
  add("bin/tool", "#!" + folder_.root() + "/bin/python3\n", true);
  add("plain", "nothing\n");
  const auto inputs = made({.threads = 3});
  ASSERT_EQ(inputs.members.size(), 3U);
  const std::string text = "p=" + std::string(bundle::kPlaceholder) + "/lib\n";
  EXPECT_EQ(contents_of(inputs.members[0]), text);
  EXPECT_EQ(inputs.members[0].expected.value(), bundle::sha256(std::as_bytes(std::span(text))));
  EXPECT_EQ(inputs.members[0].entry.layer, "environment");
  EXPECT_TRUE(contents_of(inputs.members[1]).starts_with("#!/bin/sh\n"));
  EXPECT_TRUE(inputs.members[1].entry.executable && inputs.members[1].entry.relocations.empty());
  EXPECT_TRUE(inputs.members[2].special().splices.empty() && !inputs.members[2].expected);
}

TEST(PutRewrite, RefusesRecordsThatNobodyCouldInstall) {
  PlannedMember member;
  PrefixRewrite rewrite{.splices = {}, .relocations = {{.offset = 90, .length = 24}}};
  const auto refused = thrown_by([&] {
    put_rewrite(member, std::make_shared<const MemoryFile>("/env/lib/x", std::string(100, 'x')), rewrite, {});
  });
  EXPECT_EQ(refused.kind, bundle::ErrorKind::kInternal);
  EXPECT_TRUE(refused.says("/env/lib/x")) << refused.message;
}

TEST_F(MakeRelocatable, ListsWhatHoldsThePrefix) {
  add("etc/x", "p=" + folder_.root() + "/lib\n");
  add("plain", "nothing\n");
  auto inputs = made();
  add_relocation_list(inputs.members, {{"bin/python", "/usr/bin/python3"}});
  ASSERT_EQ(inputs.members.back().entry.path, bundle::kRelocationListPath);
  const auto list = bundle::parse_relocation_list(inputs.members.back().special().contents);
  ASSERT_EQ(list.files.size(), 1U);
  EXPECT_EQ(list.files[0].path, "etc/x");
  EXPECT_EQ(list.files[0].size, inputs.members[0].entry.size);
  EXPECT_EQ(list.links.at(0).path, "bin/python");
  collection_.members.clear();
  auto none = made().members;
  add_relocation_list(none, {});
  EXPECT_TRUE(none.empty());
}

TEST_F(MakeRelocatable, ForgetsWhereCondaGotAPackageFrom) {
  add("conda-meta/x.json",
      R"({"name":"x","link":{"source":"/home/me/pkgs/x","type":1},"extracted_package_dir":"/home/me",
    "package_tarball_full_path":"/home/me/x.conda","files":["a"]})")
      .role = MemberRole::kCondaRecord;
  add("conda-meta/y.json", R"({"name":"y","link":null})").role = MemberRole::kCondaRecord;
  const auto inputs = made();
  const std::string record = contents_of(inputs.members[0]);
  EXPECT_EQ(record.find("/home/me"), record.npos) << record;
  EXPECT_NE(record.find("\"type\": 1"), record.npos) << record;
  EXPECT_NE(contents_of(inputs.members[1]).find("\"link\": null"), std::string::npos);
  add("conda-meta/z.json", "{broken").role = MemberRole::kCondaRecord;
  EXPECT_EQ(thrown_by([&] { made(); }).kind, bundle::ErrorKind::kCannotPack);
}

// As large as the collector takes them.
TEST_F(MakeRelocatable, RewritesARecordOfAVeryLargePackage) {
  add("conda-meta/x.json", R"({"name":"x"})" + std::string(65 << 20, ' ')).role = MemberRole::kCondaRecord;
  EXPECT_EQ(contents_of(made().members.at(0)), "{\n  \"name\": \"x\"\n}\n");
}

TEST_F(MakeRelocatable, ForgetsByWhichCommandsCondaMadeAnEnvironment) {
  add("conda-meta/history",
      "==> 2026-01-01 00:00:00 <==\n# cmd: /home/me/miniconda3/bin/conda create -n x --file /home/me/x.txt\n"
      "# conda version: 25.1.0\n+conda-forge/linux-64::python-3.11.4-0\n# update specs: ['python=3.11']\n#cmd: x")
      .role = MemberRole::kCondaHistory;
  EXPECT_EQ(contents_of(made().members.at(0)),
            "==> 2026-01-01 00:00:00 <==\n# conda version: 25.1.0\n+conda-forge/linux-64::python-3.11.4-0\n"
            "# update specs: ['python=3.11']\n");
}

TEST_F(MakeRelocatable, ForgetsWhoWasLetInWhereCondaFetchedPackages) {
  add("conda-meta/history",
      "+https://me:pw@x/t/tok/c/linux-64::a-1-0\n# update specs: ['https://me:pw@x/c::a', "
      "\"https://x/t/tok/c::b>=1,<2\"]\n")
      .role = MemberRole::kCondaHistory;
  EXPECT_EQ(contents_of(made().members.at(0)),
            "+https://x/c/linux-64::a-1-0\n# update specs: ['https://x/c::a', \"https://x/c::b>=1,<2\"]\n");
}

TEST_F(MakeRelocatable, KeepsHostLinksOutOfTheTar) {
  Member& link = collection_.members.emplace_back();
  link.path = "bin/python3";
  link.type = EntryType::kSymlink;
  link.link_target = "/usr/bin/python3";
  link.role = MemberRole::kHostLink;
  const auto inputs = made();
  EXPECT_TRUE(inputs.members.empty());
  ASSERT_EQ(inputs.host_links.size(), 1U);
  EXPECT_EQ(inputs.host_links[0].target, "/usr/bin/python3");
}

TEST_F(MakeRelocatable, GivesAnEnvironmentOurActivateScripts) {
  collection_.roots[0].kind = InputKind::kVenv;
  add("bin/activate", "VIRTUAL_ENV=" + folder_.root()).role = MemberRole::kVenvActivate;
  add("bin/activate.nu", "let virtual_env = " + folder_.root()).role = MemberRole::kVenvActivate;
  const auto inputs = made();
  EXPECT_EQ(find(inputs, "bin/activate.nu"), nullptr);
  EXPECT_EQ(inputs.members.size(), activate_scripts("", "").size());
  for (const ActivateScript& script : activate_scripts("VIRTUAL_ENV", folder_.root())) {
    const PlannedMember* const member = find(inputs, script.path);
    ASSERT_NE(member, nullptr) << script.path;
    const std::string contents = contents_of(*member);
    EXPECT_EQ(contents.find('@' + std::string("PREFIX")), contents.npos) << script.path;
    EXPECT_EQ(contents.find('@' + std::string("VARIABLE")), contents.npos) << script.path;
    EXPECT_EQ(contents.find(folder_.root()), contents.npos) << script.path;
    EXPECT_NE(contents.find("VIRTUAL_ENV"), contents.npos) << script.path;
    EXPECT_EQ(bundle::relocate(contents, member->entry.relocations, folder_.root()), script.contents) << script.path;
  }
}

TEST_F(MakeRelocatable, LeadsAnInterpreterToItsLibrariesThoughItNamesThePrefix) {
  const std::string path = folder_.root() + "/lib";
  folder_.compile("plain", "int main(void) { return 0; }\n", "");
  folder_.compile("own", "const char* volatile p = \"" + path + "\"; int main(void) { return p == 0; }\n",
                  "-Wl,-rpath," + path);
  for (const std::string name : {"plain", "own"}) {
    collection_.members.clear();
    add("bin/" + name, read_file(folder_.path(name)), true).role = MemberRole::kInterpreter;
    const PlannedMember member = made().members.at(0);
    ASSERT_TRUE(member.special().edit.has_value()) << name;
    const std::string contents = contents_of(member);
    const auto file = std::make_shared<const MemoryFile>(name, contents);
    EXPECT_EQ(ElfFile(file).string(DT_RPATH), "$ORIGIN/../lib") << name;
    EXPECT_EQ(contents.find(folder_.root()), contents.npos) << name;
    EXPECT_EQ(member.special().splices.empty(), name == "plain");
    EXPECT_EQ(member.entry.elf.has_value(), name == "plain") << name;
  }
}

TEST_F(MakeRelocatable, PutsTheLauncherBesideCondaUnpack) {
  const std::string launcher = folder_.write("launcher", "static");
  const auto inputs = made({.launcher = launcher});
  ASSERT_NE(find(inputs, "bin/holdall"), nullptr);
  EXPECT_TRUE(find(inputs, "bin/holdall")->entry.executable);
  ASSERT_NE(find(inputs, "bin/conda-unpack"), nullptr);
  EXPECT_EQ(find(inputs, "bin/conda-unpack")->entry.link_target, "holdall");
}

TEST_F(MakeRelocatable, WritesTheDestinationAtOnce) {
  add("etc/x", "p=" + folder_.root() + "/lib\n");
  const auto inputs = made({.destination = "/opt/there"});
  EXPECT_EQ(contents_of(inputs.members[0]), "p=/opt/there/lib\n");
  EXPECT_TRUE(inputs.members[0].entry.relocations.empty());
}

// As an installation would, before anything is written.
TEST_F(MakeRelocatable, RefusesADestinationThatDoesNotSuitEveryFile) {
  add("bin/perl-tool", "#!" + folder_.root() + "/bin/perl\n", true);
  add("bin/sed-tool", "#!" + folder_.root() + "/bin/sed\n", true);
  add("bin/tool", "#!" + folder_.root() + "/bin/python3\n", true);
  for (const std::string& destination : {std::string("/two words"), "/" + std::string(130, 'd')}) {
    const auto refused = thrown_by([&] { made({.destination = destination}); });
    EXPECT_EQ(refused.kind, bundle::ErrorKind::kStorage);
    EXPECT_TRUE(refused.says("bin/perl-tool\n  bin/sed-tool") && !refused.says("bin/tool")) << refused.message;
  }
  // 149 bytes, of which the first 127 would do.
  add("bin/long", "#!" + folder_.root() + "/bin/" + std::string(118, 'n') + "\n", true);
  EXPECT_FALSE(thrown_by([&] { made({.destination = "/d"}); }).thrown);
  EXPECT_TRUE(thrown_by([&] { made({.destination = "/" + std::string(23, 'd')}); }).says("bin/long"));
  add("lib/x", std::string(1, '\0') + folder_.root() + "/lib" + std::string(1, '\0'));
  add("lib/y", std::string(1, '\0') + folder_.root() + "/lib" + std::string(1, '\0'));
  const auto refused = thrown_by([&] { made({.destination = folder_.root() + "2"}); });
  EXPECT_EQ(refused.kind, bundle::ErrorKind::kStorage);
  EXPECT_TRUE(refused.says("lib/x") && refused.says("at most " + std::to_string(folder_.root().size()) + " fit"));
}

TEST_F(MakeRelocatable, LeavesOutCompiledPythonThatWouldBeStaleOrUnreadable) {
  add("lib/changing.py", "P = '" + folder_.root() + "'\n");
  add("lib/same.py", "P = 1\n");
  for (const char* const name : {"changing", "same"}) add_compiled(name);
  add("lib/broken.pyc", "no pyc");
  const auto inputs = made();
  EXPECT_EQ(find(inputs, "lib/__pycache__/changing.cpython-311.pyc"), nullptr);
  EXPECT_EQ(find(inputs, "lib/broken.pyc"), nullptr);
  ASSERT_EQ(inputs.warnings.size(), 1U);
  EXPECT_NE(inputs.warnings[0].find("lib/broken.pyc"), std::string::npos);
  const PlannedMember* const same = find(inputs, "lib/__pycache__/same.cpython-311.pyc");
  ASSERT_NE(same, nullptr);
  const std::string contents = contents_of(*same);
  EXPECT_EQ(contents.find(folder_.root()), contents.npos);
  EXPECT_NE(contents.find("lib/same.py"), contents.npos);
}

// Each member gets the archive's time, and so does the header: what was stale must not become valid by that.
TEST_F(MakeRelocatable, LeavesOutCompiledPythonThatIsNotOfItsSource) {
  for (const char* const name : {"same", "later", "longer", "linked", "hashed"}) {
    add("lib/" + std::string(name) + ".py", "V = 1\n");
    add_compiled(name, name == std::string("hashed") ? "UNCHECKED_HASH" : "TIMESTAMP");
  }
  const auto member = [&](const std::string& path) -> Member& {
    return *std::ranges::find(collection_.members, path, [](const Member& member) { return member.path.view(); });
  };
  member("lib/later.py").mtime_ns += 1'000'000'000;
  fs::last_write_time(folder_.path("lib/later.py"),
                      fs::last_write_time(folder_.path("lib/later.py")) + std::chrono::seconds(1));
  const auto time = fs::last_write_time(folder_.path("lib/longer.py"));
  folder_.write("lib/longer.py", "V = 100\n");
  fs::last_write_time(folder_.path("lib/longer.py"), time);
  member("lib/longer.py").size = 8;
  member("lib/linked.py") = {.path = "lib/linked.py", .link_target = "same.py", .type = EntryType::kSymlink};
  const auto inputs = made();
  std::vector<std::string> compiled;
  for (const PlannedMember& found : inputs.members)
    if (found.entry.path.ends_with(".pyc")) compiled.push_back(found.entry.path);
  EXPECT_EQ(compiled, (std::vector<std::string>{"lib/__pycache__/same.cpython-311.pyc",
                                                "lib/__pycache__/hashed.cpython-311.pyc"}));
  EXPECT_TRUE(inputs.warnings.empty());
}

TEST_F(MakeRelocatable, BringsWheelRecordsUpToDate) {
  add("bin/tool", "#!" + folder_.root() + "/bin/python3\nx = 1\n", true);
  add("bin/perl-tool", "#!" + folder_.root() + "/bin/perl\n", true);
  add("site/same.py", "x = 1\n");
  add("site/broken.pyc", "");
  const std::string old(43, 'A');
  add("site/w-1.dist-info/RECORD", "same.py,sha256=" + old + ",6\r\n../bin/tool,sha256=" + old +
                                       ",9\r\n\"../bin/perl-tool\",sha256=" + old +
                                       ",9\nbroken.pyc,,\nelsewhere.py,,\nw-1.dist-info/RECORD,,\nno record");
  const auto inputs = made();
  const std::string tool = contents_of(*find(inputs, "bin/tool"));
  const std::string digest = record_digest(bundle::sha256(std::as_bytes(std::span(tool))));
  EXPECT_EQ(contents_of(*find(inputs, "site/w-1.dist-info/RECORD")),
            "same.py,sha256=" + old + ",6\r\n../bin/tool," + digest + "," + std::to_string(tool.size()) +
                "\r\n\"../bin/perl-tool\",,\nelsewhere.py,,\nw-1.dist-info/RECORD,,\nno record");
  EXPECT_EQ(parse_record_digest(digest), bundle::sha256(std::as_bytes(std::span(tool))));
}

TEST_F(MakeRelocatable, TakesTheRoomThatAPackageRecorded) {
  collection_.placeholders.push_back(std::string(255, 'p'));
  std::string contents = std::string(1, '\0') + folder_.root() + "/lib";
  contents += std::string(255 - folder_.root().size() + 1, '\0');
  Member& member = add("lib/x", contents);
  member.prefix_use = PrefixUse::kBinary;
  member.placeholder = 0;
  const auto inputs = made();
  EXPECT_EQ(bundle::longest_prefix(inputs.members.at(0).entry.relocations), 255U);
}

TEST_F(MakeRelocatable, KnowsWhatAPackageBroughtOfWhatIsPackedAsItIs) {
  collection_.digests.push_back(bundle::sha256({}));
  add("plain", "nothing\n").digest = 0;
  add("etc/x", "p=" + folder_.root() + "/lib\n").digest = 0;
  const auto inputs = made();
  EXPECT_EQ(inputs.members.at(0).brought.value(), bundle::sha256({}));
  EXPECT_FALSE(inputs.members.at(1).brought.has_value());
}

TEST_F(MakeRelocatable, ReportsAFileThatChanged) {
  add("etc/x", "p\n").size = 5;
  EXPECT_TRUE(thrown_by([&] { made(); }).says("etc/x' changed while it was packed"));
}

TEST_F(MakeRelocatable, StopsWhenItIsTold) {
  add("etc/x", "p\n");
  EXPECT_EQ(thrown_by([&] {
              made({.check = [] { throw bundle::Error(bundle::ErrorKind::kInterrupted, "interrupted"); }});
            }).kind,
            bundle::ErrorKind::kInterrupted);
}

}  // namespace
}  // namespace holdall::packer
