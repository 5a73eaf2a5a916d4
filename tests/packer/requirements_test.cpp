#include "packer/requirements.h"

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

ElfInfo needing(std::vector<std::pair<std::string, std::string>> versions, const std::string& soname = "") {
  ElfInfo info;
  info.machine = EM_X86_64;
  if (!soname.empty()) info.soname = soname;
  for (auto& [library, version] : versions) info.needed_versions.push_back({library, version});
  return info;
}

// A library whose fat binaries have these targets, each in as many as said.
Kernels carrying(std::uint64_t fatbins, const std::map<std::string, std::uint64_t>& targets) {
  Kernels kernels;
  kernels.fatbins = fatbins;
  for (const auto& [target, count] : targets) {
    (target.find('@') == target.npos ? kernels.cubin : kernels.ptx)[target] = {count, 1000};
  }
  return kernels;
}

using Names = std::vector<std::string>;

TEST(Requirements, TakeTheHighestGlibcVersionAsNumbersAndNameItsFile) {
  const ElfInfo a =
      needing({{"libc.so.6", "GLIBC_2.9"}, {"libstdc++.so.6", "GLIBCXX_3.4.30"}, {"libc.so.6", "GLIBC_PRIVATE"}});
  const ElfInfo b = needing({{"libm.so.6", "GLIBC_2.28"}, {"libc.so.6", "GLIBC_2.4"}});
  const auto result = derive_requirements({{"bin/a", &a}, {"lib/b", &b}}, Device::kCpu);
  EXPECT_EQ(result.glibc->version, "2.28");
  EXPECT_EQ(result.glibc->from, "lib/b");
  EXPECT_EQ(result.arch, "x86_64");
  const ElfInfo c = needing({{"libc.so.6", "GLIBC_ABI_DT_RELR"}});
  EXPECT_EQ(derive_requirements({{"bin/a", &a}, {"lib/c", &c}}, Device::kCpu).glibc->version, "2.36");
}

TEST(Requirements, AskForTheHostsLibstdcxxOnlyIfTheBundleBringsNone) {
  const ElfInfo a = needing(
      {{"libstdc++.so.6", "GLIBCXX_3.4.9"}, {"libstdc++.so.6", "GLIBCXX_3.4.30"}, {"libstdc++.so.6", "CXXABI_1.3.13"}});
  const auto result = derive_requirements({{"bin/a", &a}}, Device::kCpu);
  ASSERT_TRUE(result.libstdcxx.has_value());
  EXPECT_EQ(result.libstdcxx->version, "3.4.30");
  EXPECT_EQ(result.libstdcxx->from, "bin/a");
  const ElfInfo own = needing({}, "libstdc++.so.6");
  EXPECT_FALSE(derive_requirements({{"bin/a", &a}, {"lib/x", &own}}, Device::kCpu).libstdcxx.has_value());
}

TEST(Requirements, ListEveryFilesFloorTheHighestFirst) {
  const ElfInfo a = needing({{"libc.so.6", "GLIBC_2.9"}, {"libc.so.6", "GLIBC_2.14"}});
  const ElfInfo b = needing({{"libc.so.6", "GLIBC_2.34"}});
  const ElfInfo none = needing({});
  const auto floors = floors_of({{"a", &a}, {"b", &b}, {"none", &none}}, "libc");
  ASSERT_EQ(floors.size(), 2U);
  EXPECT_EQ(floors[0].version + floors[0].from, "2.34b");
  EXPECT_EQ(floors[1].version + floors[1].from, "2.14a");
}

TEST(Requirements, NameWhoIsMarkedForNewerProcessors) {
  ElfInfo v3 = needing({});
  v3.x86_level = 3;
  const ElfInfo v1 = needing({});
  const auto levels = cpu_levels_of({{"a", &v1}, {"b", &v3}});
  ASSERT_EQ(levels.size(), 1U);
  EXPECT_EQ(levels[0].version + levels[0].from, "3b");
  EXPECT_EQ(derive_requirements({{"a", &v1}, {"b", &v3}}, Device::kCpu).cpu_level, 3);
}

TEST(Requirements, OnlyACudaBundleAsksForADriver) {
  const ElfInfo cudart = needing({}, "libcudart.so.13");
  EXPECT_FALSE(derive_requirements({{"lib/libcudart.so.13", &cudart}}, Device::kCpu).cuda.has_value());
  const auto cuda = derive_requirements({{"lib/libcudart.so.13", &cudart}}, Device::kCuda).cuda;
  EXPECT_EQ(cuda->major, 13);
  EXPECT_EQ(cuda->driver.version, "580.65.06");
  EXPECT_EQ(cuda->driver.from, "lib/libcudart.so.13");
  const ElfInfo future = needing({}, "libcudart.so.99");
  EXPECT_TRUE(thrown_by([&] { derive_requirements({{"lib/x", &future}}, Device::kCuda); }).says("CUDA 99"));
  EXPECT_TRUE(thrown_by([&] { derive_requirements({}, Device::kCuda); }).says("no libcudart"));
}

TEST(Requirements, TheNewestOfSeveralCudartsSetsTheDriver) {
  const ElfInfo twelve = needing({}, "libcudart.so.12"), thirteen = needing({}, "libcudart.so.13");
  const auto cuda = derive_requirements({{"a", &twelve}, {"b", &thirteen}, {"c", &twelve}}, Device::kCuda).cuda;
  EXPECT_EQ(cuda->major, 13);
  EXPECT_EQ(cuda->driver.version, "580.65.06");
  EXPECT_EQ(cuda->driver.from, "b");
}

class CudaNeeds : public ::testing::Test {
 protected:
  // With a cudart of that major, and one more library.
  bundle::CudaRequirement needs(int major, const Kernels& kernels, bool gates) {
    cudart_.soname = "libcudart.so." + std::to_string(major);
    return *derive_requirements({{.path = "lib/cudart", .elf = &cudart_},
                                 {.path = "lib/k", .elf = &library_, .kernels = &kernels, .gates = gates}},
                                Device::kCuda)
                .cuda;
  }
  ElfInfo cudart_ = needing({}), library_ = needing({});
};

TEST_F(CudaNeeds, ZstdKernelsOfAnyLibraryWantADriverOfCuda12_4) {
  Kernels kernels = carrying(1, {{"80", 1}});
  kernels.zstd = true;
  for (const bool gates : {true, false}) {
    EXPECT_EQ(needs(12, kernels, gates).driver.version, "550.54.14");
    EXPECT_EQ(needs(12, kernels, gates).driver.from, "lib/k");
  }
  EXPECT_EQ(needs(13, kernels, true).driver.version, "580.65.06");  // which is newer anyway
  kernels.zstd = false;
  EXPECT_EQ(needs(12, kernels, true).driver.version, "525.60.13");
}

TEST_F(CudaNeeds, OnlyWhatGatesCountsForTheGpu) {
  const Kernels kernels = carrying(2, {{"80", 2}, {"90a", 1}, {"90@9.0", 2}});
  EXPECT_TRUE(needs(13, kernels, false).coverage.empty());
  const auto coverage = needs(13, kernels, true).coverage;
  EXPECT_EQ(coverage.at("lib/k").cubin, (Names{"80", "90a"}));
  EXPECT_EQ(coverage.at("lib/k").ptx, (Names{"90@9.0"}));
  EXPECT_TRUE(needs(13, carrying(0, {}), true).coverage.empty());
}

TEST_F(CudaNeeds, AFewKernelsForOneMoreGpuDoNotServeIt) {
  const Kernels kernels = carrying(449, {{"75", 1}, {"80", 449}, {"100", 449}});
  EXPECT_EQ(needs(13, kernels, true).coverage.at("lib/k").cubin, (Names{"80", "100"}));
  EXPECT_EQ(all_targets(kernels).cubin, (Names{"75", "80", "100"}));
  const Kernels scattered = carrying(3, {{"75", 1}, {"80", 1}, {"90", 1}});
  EXPECT_EQ(needs(13, scattered, true).coverage.at("lib/k").cubin, (Names{"75", "80", "90"}));
}

TEST_F(CudaNeeds, PtxIsAFloorOfTheDriverWhereThereIsNothingElse) {
  EXPECT_FALSE(needs(13, carrying(1, {{"80", 1}, {"90@9.2", 1}}), true).ptx_isa.has_value());
  const auto need = needs(13, carrying(1, {{"80@9.1", 1}, {"90@9.2", 1}}), true);
  ASSERT_TRUE(need.ptx_isa.has_value());
  EXPECT_EQ(need.ptx_isa->version, "9.1");
  EXPECT_EQ(need.ptx_isa->from, "lib/k");
  EXPECT_FALSE(needs(13, carrying(1, {{"80@9.1", 1}}), false).ptx_isa.has_value());
}

TEST_F(CudaNeeds, WhatCouldNotBeReadIsNotJudged) {
  Kernels kernels = carrying(1, {{"80", 1}});
  kernels.fault = "the fat binary at offset 0 …";
  EXPECT_TRUE(needs(13, kernels, true).coverage.empty());
}

}  // namespace
}  // namespace holdall::packer
