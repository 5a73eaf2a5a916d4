#include "packer/library_origin.h"

#include <algorithm>

#include "packer/closure.h"
#include "packer/glibc_family.h"
#include "packer/licences.h"
#include "packer/plan.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

// A Debian system in a folder, with one package that has a library.
class DebianSystem {
 public:
  DebianSystem() {
    folder.library("usr/lib/libdeb.so.1");
    std::filesystem::create_directory_symlink("usr/lib", folder.path("lib"));
    folder.write("var/lib/dpkg/info/libdeb1:amd64.list", "/.\n/lib\n/lib/libdeb.so.1\n/usr/share/doc/libdeb1\n");
    folder.write("var/lib/dpkg/info/other.list", "/usr/lib/libother.so.2\n/usr/bin/other\n");
    folder.write("var/lib/dpkg/status",
                 "Package: libdeb1\nStatus: install ok installed\nArchitecture: i386\nVersion: 9\n\n"
                 "Package: libdeb1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.0-3\n\n"
                 "Package: other\nArchitecture: all\nVersion: 7\n");
    folder.write("usr/share/doc/libdeb1/copyright",
                 "On Debian systems the GPL is in '/usr/share/common-licenses/GPL-3', the LGPL in\n"
                 "/usr/share/common-licenses/LGPL-2.1. Another: /usr/share/common-licenses/Missing\n");
    folder.write("usr/share/common-licenses/GPL-3", "GPL\n");
    folder.write("usr/share/common-licenses/LGPL-2.1", "LGPL\n");
  }
  TemporaryFolder folder;
};

TEST(DebianRecords, KnowWhosePackageALibraryIsWhereUsrIsMerged) {
  const DebianSystem system;
  DebianRecords records(system.folder.root());
  const auto package = records.find(system.folder.path("usr/lib/libdeb.so.1"));
  ASSERT_TRUE(package);
  EXPECT_EQ(package->name, "libdeb1");
  EXPECT_EQ(package->version, "1:2.0-3");
  EXPECT_EQ(records.find(system.folder.path("usr/lib/libother.so.2"))->version, "7");
  EXPECT_FALSE(records.find(system.folder.path("usr/lib/libunknown.so.1")));
  EXPECT_FALSE(records.find("/usr/lib/libdeb.so.1"));
}

TEST(DebianRecords, GiveTheCopyrightAndTheLicencesThatItRefersTo) {
  const DebianSystem system;
  DebianRecords records(system.folder.root());
  std::vector<std::string> places;
  for (const auto& [file, place] : records.find(system.folder.path("usr/lib/libdeb.so.1"))->licences) {
    EXPECT_TRUE(std::filesystem::exists(file)) << file;
    places.push_back(place);
  }
  EXPECT_EQ(places,
            (std::vector<std::string>{"common-licenses/GPL-3", "common-licenses/LGPL-2.1", "libdeb1/copyright"}));
}

TEST(DebianRecords, AreEmptyOnAnotherSystem) {
  const TemporaryFolder folder;
  DebianRecords records(folder.root());
  EXPECT_FALSE(records.find(folder.path("usr/lib/libdeb.so.1")));
}

// A service that needs the system's library, packed on that system.
PackPlan plan_on(const DebianSystem& system, const TemporaryFolder& checkout, const std::string& more = "") {
  checkout.program("bin/serve", "'" + system.folder.path("usr/lib/libdeb.so.1") +
                                    "' -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib'");
  std::filesystem::remove(checkout.path("compiled.c"));
  checkout.write("m.json", R"({"name": "svc", "version": "1", "executables": ["bin/serve"])" + more + "}");
  BuildMachine machine = {.home = "/home/somebody",
                          .host_name = "buildbox",
                          .system_folders = {system.folder.path("usr/lib")},
                          .system_root = system.folder.root()};
  for (const std::string& folder : system_library_folders()) machine.system_folders.push_back(folder);
  return plan_service(load_manifest(checkout.path("m.json")), machine);
}

const PlannedMember* find(const PackPlan& plan, const std::string& path) {
  const auto found =
      std::ranges::find(plan.members, path, [](const PlannedMember& member) { return member.entry.path.view(); });
  return found == plan.members.end() ? nullptr : &*found;
}

TEST(Plan, PacksASystemLibraryWithItsLicencesInTheSystemsLayer) {
  const DebianSystem system;
  const TemporaryFolder checkout;
  const PackPlan plan = plan_on(system, checkout);
  ASSERT_TRUE(find(plan, "lib/libdeb.so.1"));
  EXPECT_EQ(find(plan, "lib/libdeb.so.1")->entry.layer, "system");
  EXPECT_EQ(find(plan, "lib/libdeb.so.1")->package, "libdeb1-1:2.0-3");
  EXPECT_TRUE(find(plan, "share/licenses/libdeb1/copyright"));
  EXPECT_TRUE(find(plan, "share/licenses/common-licenses/GPL-3"));
  EXPECT_EQ(plan.info.build.at("libdeb1"), "1:2.0-3");
  EXPECT_TRUE(plan.warnings.empty()) << plan.warnings.front();
}

TEST(Plan, SaysWhenASystemLibrarysLicenceIsNotThere) {
  const DebianSystem system;
  const TemporaryFolder checkout;
  std::filesystem::remove(system.folder.path("usr/share/doc/libdeb1/copyright"));
  const PackPlan plan = plan_on(system, checkout);
  ASSERT_EQ(plan.warnings.size(), 1U);
  EXPECT_NE(plan.warnings.front().find("'libdeb1' has no licence"), std::string::npos);
  std::filesystem::remove_all(system.folder.path("var"));
  EXPECT_NE(plan_on(system, checkout).warnings.at(0).find("belongs to no package"), std::string::npos);
}

TEST(Plan, PacksTheLicencesOfTheSystemLibrariesInAnEnvironment) {
  const DebianSystem system;
  PackPlan plan;
  for (const std::string& path : {system.folder.path("lib/libdeb.so.1"), std::string("/nowhere/libx.so")}) {
    plan.members.emplace_back().source = path;
    plan.members.back().entry.path = "python-base/lib/" + std::filesystem::path(path).filename().string();
  }
  LibraryOrigins origins(system.folder.root());
  add_licences(plan, origins, system.folder.root());
  EXPECT_EQ(find(plan, "python-base/lib/libdeb.so.1")->package, "libdeb1-1:2.0-3");
  EXPECT_EQ(find(plan, "python-base/lib/libx.so")->package, "");
  ASSERT_TRUE(find(plan, "share/licenses/libdeb1/copyright"));
  EXPECT_GT(find(plan, "share/licenses/libdeb1/copyright")->entry.size, 0U);
  EXPECT_EQ(plan.members.size(), 5U);  // with the two common licences
  EXPECT_EQ(plan.info.build.at("libdeb1"), "1:2.0-3");
}

TEST(Plan, PacksTheLicencesOfTheSystemLibrariesInALayer) {
  const DebianSystem system;
  const TemporaryFolder checkout;
  system.folder.library("usr/lib/base/libother.so.2");
  system.folder.write("var/lib/dpkg/info/other.list", "/usr/lib/base/libother.so.2\n");
  system.folder.write("usr/share/doc/other/copyright", "of the other\n");
  const PackPlan plan =
      plan_on(system, checkout,
              R"(, "layers": [{"prefix": ")" + system.folder.path("usr/lib/base") + R"(", "to": "python-base/lib"}])");
  EXPECT_EQ(find(plan, "python-base/lib/libother.so.2")->package, "other-7");
  EXPECT_TRUE(find(plan, "share/licenses/other/copyright"));
  EXPECT_TRUE(find(plan, "share/licenses/libdeb1/copyright"));  // of what the program needs, as ever
}

TEST(Glibc, IsFoundWholeWithItsLoaderAndVersion) {
  const std::uint16_t machine = ElfFile("/proc/self/exe").machine();
  const Glibc glibc = find_glibc(system_library_folders(), machine);
  EXPECT_EQ(glibc.version, std::to_string(__GLIBC__) + "." + std::to_string(__GLIBC_MINOR__));
  std::vector<std::string> names;
  for (const GlibcFile& file : glibc.files) names.push_back(file.name);
  for (const char* const name : {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1",
                                 "libresolv.so.2", "libnss_files.so.2", "libnss_dns.so.2"}) {
    EXPECT_EQ(std::ranges::count(names, name), 1) << name;
  }
  EXPECT_EQ(std::ranges::count(names, glibc.interpreter), 1);
  EXPECT_EQ(std::ranges::count(names, "libm.so"), 0);
  EXPECT_TRUE(thrown_by([&] { find_glibc({}, machine); }).says("no libc.so.6"));
  EXPECT_TRUE(thrown_by([&] { find_glibc(system_library_folders(), EM_SPARCV9); }).says("no libc.so.6"));
}

TEST(Plan, BringsTheCLibraryInAFolderOfItsOwn) {
  const DebianSystem system;
  const TemporaryFolder checkout;
  EXPECT_FALSE(plan_on(system, checkout).info.requires_host.libc.has_value());
  const PackPlan plan = plan_on(system, checkout, R"(, "libc": "bundled")");
  const auto& libc = plan.info.requires_host.libc;
  ASSERT_TRUE(libc.has_value());
  EXPECT_EQ(libc->version, std::to_string(__GLIBC__) + "." + std::to_string(__GLIBC_MINOR__));
  ASSERT_TRUE(find(plan, libc->interpreter));
  EXPECT_TRUE(find(plan, libc->interpreter)->entry.executable);
  EXPECT_TRUE(find(plan, "libc/libc.so.6"));
  EXPECT_FALSE(find(plan, "lib/libc.so.6"));  // there the host's loader would find it
  EXPECT_EQ(find(plan, "libc/libc.so.6")->entry.layer, "system");
  EXPECT_TRUE(plan.info.requires_host.glibc.has_value());  // still what the programs ask for
}

}  // namespace
}  // namespace holdall::packer
