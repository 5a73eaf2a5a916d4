#include "packer/plan_environment.h"

#include <algorithm>

#include "packer/inputs/collect.h"
#include "packer/pack.h"
#include "tests/packer/bundle_in_memory.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

class PlanEnvironment : public ::testing::Test {
 protected:
  PackPlan plan(Slimming slimming = Slimming::kNone, const std::string& launcher = "") const {
    return plan_environment(collect({{.folder = folder_.root(), .to = ""}}),
                            {.name = "env", .version = "1", .slimming = slimming, .launcher = launcher}, {});
  }
  static const PlannedMember* find(const PackPlan& plan, const std::string& path) {
    const auto found =
        std::ranges::find(plan.members, path, [](const PlannedMember& member) { return member.entry.path.view(); });
    return found == plan.members.end() ? nullptr : &*found;
  }
  TemporaryFolder folder_;
};

TEST_F(PlanEnvironment, TakesWhatSlimDropsOutOfTheWheelsRecord) {
  const std::string site = "lib/python3.11/site-packages/", record = site + "x-1.dist-info/RECORD";
  folder_.write(site + "x/__init__.py", "");
  folder_.write(site + "x/tests/test_x.py", "test");
  folder_.write(record, "x/__init__.py,,\nx/tests/test_x.py,,\nx-1.dist-info/RECORD,,\n");
  const PackPlan whole = plan();
  EXPECT_EQ(find(whole, record)->source, folder_.path(record));  // as it is
  const PackPlan slim = plan(Slimming::kDrop);
  EXPECT_FALSE(find(slim, site + "x/tests/test_x.py"));
  EXPECT_EQ(find(slim, record)->special().contents, "x/__init__.py,,\nx-1.dist-info/RECORD,,\n");
}

TEST_F(PlanEnvironment, PutsNothingIntoABinThatIsALink) {
  folder_.write("usr/bin/tool", "#!/bin/sh\n");
  folder_.write("conda-meta/history", "");
  std::filesystem::create_directory_symlink("usr/bin", folder_.path("bin"));
  const PackPlan linked = plan(Slimming::kNone, "/proc/self/exe");
  EXPECT_FALSE(find(linked, "bin/holdall") || find(linked, "bin/activate"));
  ASSERT_EQ(linked.warnings.size(), 2U);
  EXPECT_EQ(linked.warnings[1], "'bin' is a link, not a folder: the archive gets no bin/conda-unpack");
  BundleInMemory bundle(linked);
  const auto result = thrown_by([&] { pack(linked, {}, bundle); });
  EXPECT_FALSE(result.thrown) << result.message;
}

TEST_F(PlanEnvironment, RefusesAnInputWhereTheBundleHasItsOwn) {
  folder_.write("etc/x", "root=" + folder_.root() + "\n");  // so there is a list of relocations
  std::filesystem::create_directory_symlink("etc", folder_.path("holdall"));
  const auto result = thrown_by([&] { plan(); });
  EXPECT_EQ(result.kind, bundle::ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("two inputs go to 'holdall' in the bundle: a")) << result.message;
  EXPECT_TRUE(result.says("a link to 'etc'")) << result.message;
}

}  // namespace
}  // namespace holdall::packer
