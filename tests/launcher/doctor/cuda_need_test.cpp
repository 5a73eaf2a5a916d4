#include "launcher/doctor/cuda_need.h"

#include <gtest/gtest.h>

namespace holdall::launcher {
namespace {

DriverVersions driver(const std::string& version, const std::string& cuda) {
  return {version, "/sys/module/nvidia/version", cuda, "cuDriverGetVersion", false};
}

bundle::CudaRequirement cuda13() {
  bundle::CudaRequirement need;
  need.major = 13;
  return need;
}

Device device(const std::string& capability, int index = 0) {
  return {index, "Stand-in", "", capability, 1};
}

TEST(Cubin, RunsOnItsMajorWithTheSameOrANewerMinor) {
  EXPECT_TRUE(cubin_runs("80", "8.0"));
  EXPECT_TRUE(cubin_runs("80", "8.9"));
  EXPECT_FALSE(cubin_runs("86", "8.0"));
  EXPECT_FALSE(cubin_runs("80", "9.0"));
  EXPECT_FALSE(cubin_runs("75", "12.0"));
  EXPECT_TRUE(cubin_runs("120", "12.1"));
}

TEST(Cubin, OfAnArchitectureRunsThereAlone) {
  EXPECT_TRUE(cubin_runs("90a", "9.0"));
  EXPECT_FALSE(cubin_runs("100a", "10.3"));
}

TEST(Cubin, OfAFamilyRunsOnItsMembers) {
  EXPECT_TRUE(cubin_runs("100f", "10.0"));
  EXPECT_TRUE(cubin_runs("100f", "10.3"));
  EXPECT_FALSE(cubin_runs("100f", "11.0"));
  EXPECT_TRUE(cubin_runs("120f", "12.1"));
}

TEST(Cubin, OfNonsenseRunsNowhere) {
  for (const char* cubin : {"", "a", "f", "9", "x0", "90b", "-90", "99999"})
    EXPECT_FALSE(cubin_runs(cubin, "9.0")) << cubin;
  EXPECT_FALSE(cubin_runs("90", ""));
  EXPECT_FALSE(cubin_runs("90", "9"));
}

TEST(Ptx, FitsEveryNewerDevice) {
  EXPECT_TRUE(ptx_fits("80", "12.0"));
  EXPECT_FALSE(ptx_fits("90", "8.9"));
  EXPECT_FALSE(ptx_fits("90a", "10.0"));
}

TEST(DriverFloor, OfTheMajorCountsWhenTheBundleStatesNoneOrALowerOne) {
  bundle::CudaRequirement need = cuda13();
  EXPECT_EQ(check_driver(driver("580.65.05", "12.9"), &need).code, "E_DRIVER_TOO_OLD");
  EXPECT_EQ(check_driver(driver("580.65.06", "13.0"), &need).status, Status::kOk);
  need.driver.version = "450.80.02";
  EXPECT_EQ(check_driver(driver("570.26", "12.8"), &need).need, ">=580.65.06");
}

TEST(DriverFloor, SaysWhenTheMajorsFloorAloneWouldPass) {
  bundle::CudaRequirement need;
  need.major = 12;
  need.driver = {"550.54.14", "lib/libtorch_cuda.so", "zstd-compressed kernels"};
  const Check check = check_driver(driver("535.288.01", "12.2"), &need);
  EXPECT_EQ(check.status, Status::kFail);
  EXPECT_EQ(check.found, "535.288.01, CUDA 12.2");
  EXPECT_EQ(check.source, "/sys/module/nvidia/version");
  EXPECT_EQ(check.why,
            "lib/libtorch_cuda.so: zstd-compressed kernels (the floor of CUDA 12.x, 525.60.13, alone would pass)");
  EXPECT_NE(check.fix.find("admin: install driver >=550.54.14"), std::string::npos);
}

TEST(DriverFloor, IsComparedByCudaWhereTheDriverHasNoVersion) {
  const bundle::CudaRequirement need = cuda13();
  DriverVersions wsl{{}, {}, "12.9", "cuDriverGetVersion", false};
  EXPECT_EQ(check_driver(wsl, &need).status, Status::kFail);
  wsl.cuda = "13.0";
  EXPECT_EQ(check_driver(wsl, &need).status, Status::kOk);
}

TEST(DriverFloor, OfACudaNewerThanTheTableIsAWarning) {
  bundle::CudaRequirement need;
  need.major = 14;
  const Check check = check_driver(driver("600.1.1", "13.2"), &need);
  EXPECT_EQ(check.status, Status::kWarn);
  EXPECT_EQ(check.need, ">=580.65.06");
  EXPECT_EQ(check_driver(driver("535.1.1", "12.2"), &need).status, Status::kFail);
}

TEST(DriverFloor, IsAnOpenQuestionWithoutAnyVersion) {
  const bundle::CudaRequirement need = cuda13();
  const Check check = check_driver({}, &need);
  EXPECT_EQ(check.status, Status::kSkip);
  EXPECT_FALSE(check.need.empty());
}

TEST(PtxIsa, NeedsADriverOfItsCuda) {
  bundle::CudaRequirement need = cuda13();
  need.ptx_isa = bundle::Floor{"9.1", "lib/libkernels.so", ""};
  const auto check = check_ptx(driver("580.95.05", "13.0"), need, {});
  ASSERT_TRUE(check);
  EXPECT_EQ(check->code, "E_PTX_TOO_NEW");
  EXPECT_EQ(check->need, "CUDA >=13.1 (driver 590.44.01)");
  EXPECT_EQ(check_ptx(driver("590.44.01", "13.1"), need, {})->status, Status::kOk);
}

TEST(PtxIsa, NewerThanTheTableIsAWarningWithTheNewestFloor) {
  bundle::CudaRequirement need = cuda13();
  need.ptx_isa = bundle::Floor{"9.9", "", ""};
  const auto check = check_ptx(driver("595.71.05", "13.2"), need, {});
  ASSERT_TRUE(check);
  EXPECT_EQ(check->status, Status::kWarn);
  EXPECT_EQ(check->need, ">=580.65.06");
}

TEST(Coverage, IsJudgedPerGatingLibrary) {
  bundle::CudaRequirement need = cuda13();
  need.coverage["lib/a.so"] = {{"75", "80"}, {}};
  need.coverage["lib/b.so"] = {{"90"}, {"90@9.0"}};
  const auto check = check_coverage(driver("580.65.06", "13.0"), need, {device("8.6")});
  ASSERT_TRUE(check);
  EXPECT_EQ(check->code, "E_SM_NOT_COVERED");
  EXPECT_NE(check->why.find("lib/b.so"), std::string::npos);
  EXPECT_NE(check->subject.find("sm_86"), std::string::npos);
}

TEST(Coverage, ByPtxNeedsADriverThatKnowsItsIsa) {
  bundle::CudaRequirement need = cuda13();
  need.coverage["lib/a.so"] = {{"80"}, {"90@9.1"}};
  EXPECT_EQ(check_coverage(driver("590.44.01", "13.1"), need, {device("12.0")})->status, Status::kOk);
  EXPECT_EQ(check_coverage(driver("580.65.06", "13.0"), need, {device("12.0")})->code, "E_PTX_TOO_NEW");
}

TEST(Coverage, OfOneDeviceAmongTwoIsAWarning) {
  bundle::CudaRequirement need = cuda13();
  need.coverage["lib/a.so"] = {{"80"}, {}};
  const auto check = check_coverage(driver("580.65.06", "13.0"), need, {device("7.0", 0), device("8.0", 1)});
  ASSERT_TRUE(check);
  EXPECT_EQ(check->status, Status::kWarn);
  EXPECT_NE(check->found.find("GPU0"), std::string::npos);
  EXPECT_EQ(check->found.find("GPU1"), std::string::npos);
}

}  // namespace
}  // namespace holdall::launcher
