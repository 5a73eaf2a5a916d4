#include "launcher/doctor/cuda_probe.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "bundle/file_descriptor.h"
#include "captured_host.h"
#include "launcher/doctor/elf_facts.h"
#include "launcher/embedded.h"

namespace holdall::launcher {
namespace {

using End = ProbeRun::End;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

ProbeOptions options_for(const std::string& libcuda) {
  ProbeOptions options;
  options.library = libcuda;
  return options;
}

// 04-compatibility's promise: it loads on any glibc.
TEST(Probe, AsksForNothingNewerThanTheOldestVersionOfItsArchitecture) {
  test::CapturedHost host;
  host.write("/probe", std::string(embedded_probe()));
  const bundle::FileDescriptor file(::open(host.path("/probe").c_str(), O_RDONLY | O_CLOEXEC));
  const auto elf = read_elf(file.get());
  ASSERT_TRUE(elf);
  ASSERT_THAT(elf->needed_versions, Not(IsEmpty()));
  const std::string oldest = machine_name(elf->machine) == "x86_64" ? "GLIBC_2.2.5" : "GLIBC_2.17";
  EXPECT_THAT(elf->needed_versions, Each(oldest));
  EXPECT_NE(embedded_probe().find("libdl.so.2"), std::string_view::npos);
}

TEST(Probe, ListsTheDevices) {
  const CudaReport result = probe_cuda(options_for(STAND_IN_LIBCUDA_TWO));
  ASSERT_EQ(result.end, End::kFinished) << result.detail;
  EXPECT_TRUE(result.initialised());
  EXPECT_EQ(result.cuda_version, 13000);
  ASSERT_EQ(result.devices.size(), 2u);
  EXPECT_EQ(result.devices[1].index, 1);
  EXPECT_EQ(result.devices[1].name, "Stand-in \"1\"");
  EXPECT_EQ(result.devices[1].capability, "8.0");
  EXPECT_EQ(result.devices[1].memory_bytes, std::uint64_t{80} << 30);
  EXPECT_EQ(result.devices[1].uuid, "GPU-01112131-4151-6171-8191-a1b1c1d1e1f1");
}

TEST(Probe, ReportsWhatTheLoaderSays) {
  const CudaReport result = probe_cuda(options_for("/nonexistent/libcuda.so.1"));
  EXPECT_EQ(result.end, End::kFinished);
  ASSERT_TRUE(result.load_error);
  EXPECT_THAT(*result.load_error, HasSubstr("/nonexistent/libcuda.so.1"));
  EXPECT_FALSE(result.initialised());
}

TEST(Probe, ReportsTheCallThatFailed) {
  const CudaReport result = probe_cuda(options_for(STAND_IN_LIBCUDA_ERROR_803));
  EXPECT_EQ(result.end, End::kFinished);
  EXPECT_EQ(result.failed_call, "cuInit");
  EXPECT_EQ(result.failed_result, 803);
  EXPECT_THAT(result.devices, IsEmpty());
}

TEST(Probe, OutlivesACrashOfTheDriver) {
  const CudaReport result = probe_cuda(options_for(STAND_IN_LIBCUDA_CRASHES));
  EXPECT_EQ(result.end, End::kCrashed);
  EXPECT_EQ(result.detail, "signal 6");
  EXPECT_EQ(result.stage, "cuInit");
}

TEST(Probe, StopsADriverThatHangs) {
  ProbeOptions options = options_for(STAND_IN_LIBCUDA_HANGS);
  options.timeout = std::chrono::milliseconds(200);
  const auto start = std::chrono::steady_clock::now();
  const CudaReport result = probe_cuda(options);
  EXPECT_EQ(result.end, End::kTimedOut);
  EXPECT_EQ(result.stage, "cuInit");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Probe, IgnoresWhatTheDriverPrints) {
  const CudaReport result = probe_cuda(options_for(STAND_IN_LIBCUDA_BABBLES));
  EXPECT_EQ(result.end, End::kFinished);
  EXPECT_EQ(result.devices.size(), 1u);
}

TEST(Probe, KeepsTheLoadersVariablesFromTheDriver) {
  ProbeOptions options = options_for(STAND_IN_LIBCUDA_ENVIRONMENT);
  options.environment = {{"LD_LIBRARY_PATH", "/elsewhere"}, {"LD_PRELOAD", "/elsewhere/x.so"}, {"KEPT", "1"}};
  EXPECT_TRUE(probe_cuda(options).initialised());
}

TEST(Probe, RunsFromAFolderWhereMemoryIsDeniedAndLeavesNothing) {
  test::CapturedHost folder;
  ProbeOptions options = options_for(STAND_IN_LIBCUDA_WORKS);
  options.memory = ProbeOptions::Memory::kAvoid;
  options.folders = {"", "/nonexistent", folder.root()};
  EXPECT_TRUE(probe_cuda(options).initialised());
  EXPECT_TRUE(std::filesystem::is_empty(folder.root()));
}

TEST(Probe, SaysWhichFoldersItTriedWhenNoneIsLeft) {
  ProbeOptions options = options_for(STAND_IN_LIBCUDA_WORKS);
  options.memory = ProbeOptions::Memory::kAvoid;
  options.folders = {"/nonexistent"};
  const CudaReport result = probe_cuda(options);
  EXPECT_EQ(result.end, End::kNotRun);
  EXPECT_THAT(result.detail, HasSubstr("/nonexistent: No such file or directory"));
}

}  // namespace
}  // namespace holdall::launcher
