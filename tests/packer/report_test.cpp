#include "packer/report.h"

#include <nlohmann/json.hpp>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::EntryType;

PlannedMember file(const std::string& path, const std::string& contents, const std::string& layer,
                   const std::string& package) {
  PlannedMember member;
  member.entry.path = path;
  member.entry.type = EntryType::kRegular;
  member.entry.size = contents.size();
  member.entry.layer = layer;
  member.package = package;
  member.change().contents = contents;
  return member;
}

PackPlan plan() {
  PackPlan plan;
  plan.info.name = "svc";
  plan.info.version = "1";
  plan.info.layers = {"cuda", "app"};
  plan.info.requires_host.arch = "x86_64";
  plan.info.requires_host.glibc = bundle::Floor{"2.34", "bin/a", "its symbol versions"};
  plan.members = {file("bin/a", std::string(9000, 'a'), "app", ""),
                  file("lib/b.so", std::string(5000, 'b'), "cuda", "nvidia_b-1"),
                  file("lib/c.so", std::string(5000, 'b'), "cuda", "nvidia_c-1"),
                  file("lib/d.so", std::string(5000, 'd'), "cuda", "nvidia_c-1"),
                  file("x", "same", "app", ""),
                  file("y", "same", "app", "")};
  plan.members[1].entry.kernels = bundle::KernelCoverage{{"80", "90a"}, {"90@9.0"}};
  plan.floors.glibc = {{"2.34", "bin/a", "its symbol versions"}, {"2.28", "lib/b.so", ""}};
  plan.slim_drops = {{"docs", 3, 1000}};
  return plan;
}

TEST(Report, SumsUpByLayerAndPackage) {
  const PackReport report = make_report(plan());
  EXPECT_EQ(report.total.files, 6U);
  EXPECT_EQ(report.total.bytes, 24'008U);
  ASSERT_EQ(report.layers.size(), 2U);
  EXPECT_EQ(report.layers[0].name, "cuda");
  EXPECT_EQ(report.layers[0].bytes, 15'000U);
  EXPECT_EQ(report.layers[0].files, 3U);
  ASSERT_EQ(report.packages.size(), 3U);
  EXPECT_EQ(report.packages[0].name, "nvidia_c-1");
  EXPECT_EQ(report.packages[0].bytes, 10'000U);
  EXPECT_EQ(report.packages[1].name, "");
  EXPECT_EQ(report.packages[1].bytes, 9'008U);
}

TEST(Report, ListsTheTenBiggestFiles) {
  PackPlan many = plan();
  for (int i = 0; i < 20; ++i) many.members.push_back(file("z" + std::to_string(i), std::string(10, 'z'), "app", ""));
  const PackReport report = make_report(many);
  ASSERT_EQ(report.biggest.size(), 10U);
  EXPECT_EQ(report.biggest[0].name, "bin/a");
  EXPECT_EQ(report.biggest[1].name, "lib/b.so");
  EXPECT_EQ(report.biggest[4].name, "z0");
}

TEST(Report, FindsDuplicatesByContentAndLeavesOutTinyOnes) {
  const PackReport report = make_report(plan());
  ASSERT_EQ(report.duplicates.size(), 1U);
  EXPECT_EQ(report.duplicates[0].paths, (std::vector<std::string>{"lib/b.so", "lib/c.so"}));
  EXPECT_EQ(report.duplicate_bytes, 5'000U);
}

TEST(Report, ReadsInputsToCompareThemAndStopsWhenAsked) {
  const TemporaryFolder folder;
  PackPlan both = plan();
  for (const char* const name : {"lib/b.so", "lib/c.so"}) {
    for (PlannedMember& member : both.members) {
      if (member.entry.path == name) member.source = folder.write(name, std::string(5000, name[4]));
    }
  }
  EXPECT_TRUE(make_report(both).duplicates.empty());
  const auto stop = [] { throw bundle::Error(bundle::ErrorKind::kInterrupted, "interrupted"); };
  EXPECT_EQ(thrown_by([&] { make_report(both, 2, stop); }).kind, bundle::ErrorKind::kInterrupted);
}

TEST(Report, SaysWhoSetsAFloorAndWhatSlimDoes) {
  const PackPlan given = plan();
  const std::string text = to_text(make_report(given), given, Slimming::kNone);
  for (const char* const part :
       {"glibc 2.34: bin/a (its symbol versions)", "then 2.28: lib/b.so", "lib/b.so: sm_80 sm_90a compute_90@9.0",
        "what --slim would drop", "docs, 3 files: share/doc", "lib/b.so = lib/c.so", "(no package), 3 files"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_NE(to_text(make_report(given), given, Slimming::kDrop).find("dropped by --slim"), std::string::npos);
}

TEST(Report, IsJsonForMachines) {
  const PackPlan given = plan();
  const auto json = nlohmann::json::parse(to_json(make_report(given), given, Slimming::kNone));
  EXPECT_EQ(json["layers"][0]["bytes"], 15'000);
  EXPECT_EQ(json["kernels"]["lib/b.so"]["cubin"], (std::vector<std::string>{"80", "90a"}));
  EXPECT_EQ(json["floors"]["glibc"][1]["from"], "lib/b.so");
  EXPECT_EQ(json["requires"]["glibc"]["version"], "2.34");
  EXPECT_EQ(json["duplicates"][0]["paths"].size(), 2U);
  EXPECT_EQ(json["slim"]["dropped"], false);
  EXPECT_EQ(json["slim"]["rules"][0]["name"], "docs");
}

}  // namespace
}  // namespace holdall::packer
