#include "packer/sbom/sbom.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "bundle/byte_order.h"
#include "packer/sbom/conda_package.h"
#include "packer/sbom/debian_package.h"
#include "packer/sbom/purl.h"
#include "packer/sbom/python_metadata.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;
using nlohmann::json;

TEST(Purl, HasTheCanonicalForm) {
  EXPECT_EQ(to_string(Purl{.type = "deb",
                           .space = "debian",
                           .name = "libstdc++6",
                           .version = "1:12.2.0-14+deb12u1",
                           .qualifiers = {{"distro", "debian-12"}, {"arch", "amd64"}, {"empty", ""}}}),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12");
  EXPECT_EQ(pypi_name("Flask_Login.X"), "flask-login.x");
}

TEST(PythonMetadata, ReadsTheHeadersOnly) {
  const PythonMetadata metadata = parse_python_metadata(
      "Metadata-Version: 2.4\r\nName: Demo_Pkg\r\nVersion: 1.0\nLicense: MIT\n  and more text\n"
      "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved\n"
      "Requires-Dist: Num_Py (>=1.2) ; python_version >= '3'\nRequires-Dist: extra-only; extra == 'test'\n"
      "Requires-Dist: a.b[c]>=1\n\nName: not this\n");
  EXPECT_EQ(metadata.name, "Demo_Pkg");
  EXPECT_EQ(metadata.version, "1.0");
  EXPECT_EQ(metadata.licences, (std::set<std::string>{"MIT License"}));
  EXPECT_EQ(metadata.needs, (std::set<std::string>{"num-py", "a-b"}));
}

TEST(PythonMetadata, PrefersTheExpression) {
  const PythonMetadata metadata =
      parse_python_metadata("Name: x\nLicense-Expression: MIT OR Apache-2.0\nLicense: see file\n");
  EXPECT_EQ(metadata.licence_expression, "MIT OR Apache-2.0");
  EXPECT_TRUE(metadata.licences.empty());
  EXPECT_EQ(parse_python_metadata("License: BSD").licences, (std::set<std::string>{"BSD"}));
  EXPECT_EQ(parse_python_metadata("License: UNKNOWN").licences, std::set<std::string>());
}

TEST(CondaPackage, TellsNoAddress) {
  CondaRecord record;
  record.name = "zlib";
  record.version = "1.3";
  record.build = "h1_0";
  record.channel = "https://user:secret@conda.example.org/t/token/conda-forge/linux-64";
  record.platform = "linux-64";
  record.file_name = "zlib-1.3-h1_0.conda";
  record.licence = "Zlib";
  record.md5 = "no digest";
  const SbomComponent component = component_of(record);
  EXPECT_EQ(component.purl, "pkg:conda/zlib@1.3?build=h1_0&channel=conda-forge&subdir=linux-64&type=conda");
  EXPECT_TRUE(component.hashes.empty());
  for (const char* const address :
       {"https://user:secret@conda.example.org/linux-64", "https://user:secret@conda.example.org",
        "https://conda.example.org/t/token/linux-64", "https://conda.example.org/", "https://"}) {
    record.channel = address;
    EXPECT_EQ(component_of(record).purl, "pkg:conda/zlib@1.3?build=h1_0&subdir=linux-64&type=conda") << address;
  }
  record.channel = "file:///home/me/channel";
  EXPECT_EQ(component_of(record).purl, "pkg:conda/zlib@1.3?build=h1_0&subdir=linux-64&type=conda");
  record.depends = {"python >=3.11,<3.12.0a0", "libzlib=1.3", "__glibc"};
  EXPECT_EQ(needed_packages(record), (std::set<std::string>{"__glibc", "libzlib", "python"}));
}

TEST(DebianPackage, ReadsACopyrightFileForMachines) {
  const std::string head = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n";
  EXPECT_EQ(copyright_licences(head + "Files: *\nLicense: Zlib\n\nLicense:  GPL-2+ \n text\nLicense:\n"),
            (std::set<std::string>{"GPL-2+", "Zlib"}));
  EXPECT_EQ(copyright_licences("This is free.\nLicense: x\n"), std::set<std::string>());
}

// A machine with one Debian package, and an environment of which each kind of evidence has something.
class SbomTest : public ::testing::Test {
 protected:
  SbomTest() {
    const auto list = [&](const std::string& name, const std::string& paths) {
      folder_.write("root/var/lib/dpkg/info/" + name + ".list", paths);
    };
    list("zlib1g:amd64", "/.\n/usr/lib/libz.so.1\n");
    list("libc6:amd64", "/lib/libc.so.6\n");
    folder_.write("root/var/lib/dpkg/status",
                  "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nSource: zlib (1:1.2)\n"
                  "Version: 1:1.2-1+b1\nDepends: libc6 (>= 2.14), missing | other\n\n"
                  "Package: libc6\nArchitecture: amd64\nVersion: 2.36-9\n");
    folder_.write("root/etc/os-release", "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n");
    folder_.write("root/usr/share/doc/zlib1g/copyright",
                  "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: Zlib\n");
    folder_.write("root/usr/lib/libz.so.1", "z");
    folder_.write("root/usr/lib/libc.so.6", "c");
    origins_.find(folder_.path("root/usr/lib/libz.so.1"));
    origins_.find(folder_.path("root/lib/libc.so.6"));
  }

  PlannedMember& add(const std::string& path, const std::string& contents, const std::string& package = "") {
    PlannedMember& member = plan_.members.emplace_back();
    member.entry.path = path;
    member.entry.layer = "environment";
    member.entry.size = contents.size();
    member.change().contents = contents;
    member.package = package;
    return member;
  }

  PlannedMember& add_file(const std::string& path, const std::string& source, const std::string& package = "") {
    PlannedMember& member = add(path, "", package);
    member.source = source;
    member.entry.size = std::filesystem::file_size(source);
    return member;
  }

  // As the collector tells it.
  PlannedMember& add_record(const std::string& path, const std::string& contents) {
    PlannedMember& member = add(path, contents);
    member.conda_record = true;
    return member;
  }

  // Of the library with that .note.package.
  std::string library_with_note(const std::string& name, std::string package) {
    for (std::size_t at = 0; (at = package.find('"', at)) != package.npos; at += 2) package.insert(at, 1, '\\');
    const std::string note = folder_.write("src/" + name + ".s", R"(.section .note.package, "a", @note
.long 4, 2f - 1f, 0xcafe1a7e
.asciz "FDO"
1: .asciz ")" + package + R"("
2: .balign 4
.section .note.GNU-stack, "", @progbits
)");
    return folder_.library("src/" + name, note);
  }

  json make() {
    add_sbom(plan_, origins_, {.name = "env", .version = "1", .system_root = folder_.path("root")});
    EXPECT_EQ(plan_.members.back().entry.path, "holdall/sbom.cdx.json");
    bundle::EntryStore written;
    written.add({});  // bundle.json
    for (const PlannedMember& member : plan_.members) {
      bundle::Entry entry;
      if (!member.source.empty()) entry.digest = bundle::sha256(bundle::as_byte_span(read_file(member.source)));
      written.add(std::move(entry));
    }
    const std::string document = completed_sbom(plan_, written);
    EXPECT_EQ(plan_.members.back().entry.size, document.size());
    return json::parse(document);
  }

  static json component(const json& document, const std::string& ref) {
    for (const json& item : document.at("components"))
      if (item.at("bom-ref") == ref) return item;
    ADD_FAILURE() << "no component " << ref << " in " << document.dump(1);
    return json::object();
  }

  static json needs(const json& document, const std::string& ref) {
    for (const json& item : document.at("dependencies"))
      if (item.at("ref") == ref) return item.at("dependsOn");
    return "no such ref";
  }

  TemporaryFolder folder_;
  LibraryOrigins origins_{folder_.path("root")};
  PackPlan plan_;
};

const std::string kZlib = "pkg:deb/debian/zlib1g@1:1.2-1%2Bb1?arch=amd64&distro=debian-12";
const std::string kLibc = "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12";

TEST_F(SbomTest, NamesDebianPackagesAsScannersWantThem) {
  const json document = make();
  const json zlib = component(document, kZlib);
  EXPECT_EQ(zlib.at("purl"), kZlib);
  EXPECT_EQ(zlib.at("version"), "1:1.2-1+b1");
  EXPECT_EQ(zlib.at("licenses"), json::parse(R"([{"license": {"name": "Zlib"}}])"));
  const json source{{"name", "aquasecurity:trivy:SrcVersion"}, {"value", "1:1.2"}};
  EXPECT_NE(std::ranges::find(zlib.at("properties"), source), zlib.at("properties").end());
  EXPECT_EQ(needs(document, kZlib), json::array({kLibc}));
  EXPECT_EQ(component(document, "os:debian").at("version"), "12");
  EXPECT_EQ(needs(document, "os:debian"), json::array({kLibc, kZlib}));
  EXPECT_EQ(needs(document, "bundle:env"), json::array({"os:debian"}));
}

TEST_F(SbomTest, NamesCondaPackagesAndThePythonPackagesInThem) {
  add_record("conda-meta/python-3.11-0.json",
             R"({"name": "python", "version": "3.11", "build": "0", "license": "PSF-2.0"})");
  add_record("conda-meta/numpy-2-0.json", R"({"name": "numpy", "version": "2", "build": "0", "subdir": "linux-64",
      "channel": "conda-forge", "fn": "numpy-2-0.conda", "depends": ["python >=3", "gone"],
      "sha256": ")" + std::string(64, 'a') + R"("})");
  add("lib/python3.11/site-packages/numpy-2.dist-info/METADATA", "Name: numpy\nVersion: 2\n", "numpy-2");
  const json document = make();
  const std::string conda = "pkg:conda/numpy@2?build=0&channel=conda-forge&subdir=linux-64&type=conda";
  const json numpy = component(document, conda);
  EXPECT_EQ(numpy.at("hashes"), json::array({{{"alg", "SHA-256"}, {"content", std::string(64, 'a')}}}));
  EXPECT_EQ(numpy.at("evidence").at("occurrences").at(0).at("location"), "conda-meta/numpy-2-0.json");
  EXPECT_EQ(needs(document, conda), json::array({"pkg:conda/python@3.11?build=0", "pkg:pypi/numpy@2"}));
  component(document, "pkg:pypi/numpy@2");
}

TEST_F(SbomTest, NamesWheelsAndWhatTheyNeed) {
  const std::string site = "lib/python3.11/site-packages/";
  add(site + "a_b-1.dist-info/METADATA", "Name: a.b\nVersion: 1\nRequires-Dist: C-d (>1)\nLicense-Expression: MIT\n");
  add(site + "c_d-2.dist-info/METADATA", "Name: C_D\nVersion: 2\nRequires-Dist: A-B\n");
  add(site + "old.egg-info/PKG-INFO", "Name: old\nVersion: 3\n");
  add(site + "broken-4.dist-info/METADATA", "no header\n");
  const json document = make();
  EXPECT_EQ(component(document, "pkg:pypi/a.b@1").at("licenses"), json::parse(R"([{"expression": "MIT"}])"));
  EXPECT_EQ(needs(document, "pkg:pypi/a.b@1"), json::array({"pkg:pypi/c-d@2"}));
  EXPECT_EQ(needs(document, "pkg:pypi/c-d@2"), json::array({"pkg:pypi/a.b@1"}));
  component(document, "pkg:pypi/old@3");
  // Two that need each other can be reached from the bundle all the same.
  EXPECT_EQ(needs(document, "bundle:env"), json::array({"os:debian", "pkg:pypi/a.b@1", "pkg:pypi/old@3"}));
}

TEST_F(SbomTest, ListsProgramsOfNoPackageWithDigestBuildIdAndWhatTheyNeed) {
  const std::string library = folder_.library("src/libown.so.1", "-Wl,--build-id=0xabcd");
  add_file("lib/libown.so.1.0", library);
  PlannedMember& link = add("lib/libown.so.1", "");
  link.entry.type = EntryType::kSymlink;
  link.entry.link_target = "libown.so.1.0";
  const std::string program = folder_.program("src/tool", "-Wl,--build-id=none " + library);
  add_file("bin/tool", program).entry.executable = true;
  const json document = make();
  const json file = component(document, "file:lib/libown.so.1.0");
  EXPECT_EQ(file.at("type"), "file");
  EXPECT_EQ(file.at("properties"), json::parse(R"([{"name": "holdall:build_id", "value": "abcd"}])"));
  const std::string digest = bundle::to_hex(bundle::sha256(bundle::as_byte_span(read_file(library))));
  EXPECT_EQ(file.at("hashes").at(0).at("content"), digest);
  EXPECT_EQ(needs(document, "file:bin/tool"), json::array({"file:lib/libown.so.1.0"}));
  // Before anything is packed, there are no digests.
  EXPECT_EQ(plan_.members.back().special().contents.find(digest), std::string::npos);
}

TEST_F(SbomTest, ListsAPackagesLibrariesBelowIt) {
  const std::string library = folder_.library("src/libz.so.1", "-Wl,--build-id=0x12");
  add_file("lib/libz.so.1", library, "zlib1g-1:1.2-1+b1");
  const json zlib = component(make(), kZlib);
  ASSERT_EQ(zlib.at("components").size(), 1U);
  EXPECT_EQ(zlib.at("components").at(0).at("name"), "lib/libz.so.1");
  EXPECT_EQ(zlib.at("components").at(0).at("properties").at(0).at("value"), "12");
}

TEST_F(SbomTest, BelievesAPackageNote) {
  add_file("lib/libnoted.so",
           library_with_note("libnoted.so", R"({"type":"rpm","os":"fedora","osVersion":"40",)"
                                            R"("name":"own","version":"1-2","architecture":"x86_64"})"));
  const json noted = component(make(), "pkg:rpm/fedora/own@1-2?arch=x86_64&distro=fedora-40");
  EXPECT_EQ(noted.at("type"), "library");
  EXPECT_EQ(noted.at("components").at(0).at("name"), "lib/libnoted.so");
}

TEST_F(SbomTest, MakesAPurlOfANoteThatIsNone) {
  add_file("lib/a.so", library_with_note("a.so", R"({"type":"A b?","osVersion":"12","name":"own","version":"1"})"));
  EXPECT_EQ(component(make(), "pkg:generic/own@1").at("name"), "own");
}

TEST_F(SbomTest, IsNotItsOwnPart) {
  add_file("lib/a.so", library_with_note("a.so", R"({"name":"env","version":"1"})"));
  const json document = make();
  EXPECT_EQ(document.at("metadata").at("component").at("purl"), "pkg:generic/env@1");
  EXPECT_EQ(needs(document, "bundle:env"), json::array({"os:debian", "pkg:generic/env@1"}));
  EXPECT_EQ(needs(document, "pkg:generic/env@1"), json::array());
}

TEST_F(SbomTest, LeavesFilesAloneThatOnlyLookLikeCondasRecords) {
  add("share/t/conda-meta/x.json", "[]");
  EXPECT_EQ(make().at("metadata").at("component").at("properties").at(0).at("value"), "1");
}

TEST_F(SbomTest, LooksForLibrariesWhereTheFileDoes) {
  const std::string a = folder_.library("src/a/libx.so", "-Wl,--build-id=0xaa"),
                    b = folder_.library("src/b/libx.so", "-Wl,--build-id=0xbb");
  add_file("a/libx.so", a);
  add_file("b/libx.so", b);
  PlannedMember& link = add("other", "");
  link.entry.type = EntryType::kSymlink;
  link.entry.link_target = "b";
  const auto needs_of = [&](const std::string& name, const std::string& run_path) {
    const std::string flags = run_path.empty() ? "" : " '-Wl,-rpath," + run_path + "'";
    add_file("bin/" + name, folder_.program("src/" + name, a + flags)).entry.executable = true;
    return needs(make(), "file:bin/" + name);
  };
  EXPECT_EQ(needs_of("first", "/usr/lib:$ORIGIN/../none:$ORIGIN/../a"), json::array({"file:a/libx.so"}));
  EXPECT_EQ(needs_of("second", "${ORIGIN}/../b"), json::array({"file:b/libx.so"}));
  EXPECT_EQ(needs_of("linked", "$ORIGIN/../other"), json::array({"file:b/libx.so"}));
  EXPECT_EQ(needs_of("silent", ""), json::array());  // either may be meant
}

TEST_F(SbomTest, SaysWhetherItListsEverything) {
  add("share/x", "x", "zlib1g-1:1.2-1+b1");
  EXPECT_EQ(make().at("compositions").at(0).at("aggregate"), "complete");
  add("share/mine", "x");
  const json document = make();  // again: the document is replaced
  EXPECT_EQ(document.at("compositions").at(0).at("aggregate"), "incomplete");
  EXPECT_EQ(document.at("metadata").at("component").at("properties").at(0).at("value"), "1");
  EXPECT_EQ(std::ranges::count_if(plan_.members, [](const PlannedMember& m) { return m.entry.path == kSbomPath; }), 1);
}

TEST_F(SbomTest, NamesTheModel) {
  plan_.info.model.emplace();
  plan_.info.model->path = "model";
  plan_.info.model->name = "Tiny";
  plan_.info.model->digest = "sha256:00";
  const json model = component(make(), "model:Tiny");
  EXPECT_EQ(model.at("type"), "machine-learning-model");
}

TEST_F(SbomTest, IsTheSameEachTimeWithAnotherSerialNumberForAnother) {
  const json one = make(), again = make();
  EXPECT_EQ(one, again);
  add_record("conda-meta/x-1-0.json", R"({"name": "x", "version": "1"})");
  EXPECT_NE(make().at("serialNumber"), one.at("serialNumber"));
}

TEST_F(SbomTest, SurvivesBytesThatAreNoUtf8) {
  add("site-packages/x-1.dist-info/METADATA", "Name: caf\xe9\nVersion: 1\nLicense: \xff\n");
  EXPECT_EQ(make().at("components").size(), 4U);
}

}  // namespace
}  // namespace holdall::packer
