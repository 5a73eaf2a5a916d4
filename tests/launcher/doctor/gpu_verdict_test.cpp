// One captured host per verdict of the driver's stack.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "captured_host.h"

namespace holdall::launcher {
namespace {

using test::CapturedHost;
using test::cuda_bundle;
using test::failing_codes;
using test::find_check;
using test::make_compatible;
using test::options_for;
using ::testing::HasSubstr;

constexpr const char* kLibraries = "/usr/lib/x86_64-linux-gnu";

Diagnosis diagnose_cuda(const CapturedHost& host) {
  const bundle::BundleInfo info = cuda_bundle();
  return diagnose(&info, options_for(host));
}

// The bundle is refused for `code` alone, with found, need and fix.
void expect_refusal(const Diagnosis& diagnosis, const std::string& code) {
  EXPECT_EQ(diagnosis.verdict, Verdict::kIncompatible);
  EXPECT_EQ(failing_codes(diagnosis), code);
  EXPECT_FALSE(diagnosis.storage_only);
  for (const Check& check : diagnosis.checks) {
    if (check.status != Status::kFail) continue;
    EXPECT_FALSE(check.found.empty()) << check.id;
    EXPECT_FALSE(check.need.empty()) << check.id;
    EXPECT_THAT(check.fix, HasSubstr("--allow-cpu")) << check.id;
  }
}

TEST(GpuVerdict, CompatibleHostPassesAndNamesItsDevice) {
  CapturedHost host;
  make_compatible(host);
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  ASSERT_EQ(diagnosis.devices.size(), 1u);
  EXPECT_EQ(diagnosis.devices[0].capability, "8.0");
  EXPECT_EQ(find_check(diagnosis, "driver")->found, "580.65.06, CUDA 13.0");
  EXPECT_EQ(find_check(diagnosis, "coverage")->status, Status::kOk);
}

TEST(GpuVerdict, NoGpu) {
  CapturedHost host;
  host.add_machine();
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_NO_GPU");
  EXPECT_THAT(find_check(diagnosis, "gpu")->need, HasSubstr(">=580.65.06"));
  EXPECT_THAT(find_check(diagnosis, "gpu")->why, HasSubstr("lib/libcudart.so.13"));
}

TEST(GpuVerdict, AnNvidiaSoundDeviceIsNoGpu) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.remove("/sys/bus/pci/devices/0000:01:00.0");
  expect_refusal(diagnose_cuda(host), "E_NO_GPU");
}

TEST(GpuVerdict, DriverTooOld) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("535.288.01", STAND_IN_LIBCUDA_12_2);
  bundle::BundleInfo info = cuda_bundle();
  info.requires_host.cuda->coverage.clear();
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  expect_refusal(diagnosis, "E_DRIVER_TOO_OLD");
  const Check& driver = *find_check(diagnosis, "driver");
  EXPECT_EQ(driver.found, "535.288.01, CUDA 12.2");
  EXPECT_EQ(driver.source, "/sys/module/nvidia/version");
  EXPECT_EQ(driver.need, ">=580.65.06");
  EXPECT_EQ(driver.subject, "GPU0 Stand-in \"0\" (sm_70)");
  EXPECT_THAT(driver.note, HasSubstr("forward compatibility"));
}

TEST(GpuVerdict, Nouveau) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nouveau");
  expect_refusal(diagnose_cuda(host), "E_NOUVEAU");
}

TEST(GpuVerdict, DriverNotLoaded) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("");
  expect_refusal(diagnose_cuda(host), "E_DRIVER_NOT_LOADED");
}

TEST(GpuVerdict, GpuThatIsGivenToAVirtualMachine) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("vfio-pci");
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_DRIVER_NOT_LOADED");
  EXPECT_THAT(find_check(diagnosis, "kernel_module")->found, HasSubstr("vfio-pci"));
}

TEST(GpuVerdict, DriverMismatchIsOneFindingThatForetellsError803) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.82.07", STAND_IN_LIBCUDA_ERROR_803);
  host.write("/sys/module/nvidia/version", "580.65.06\n");
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_DRIVER_MISMATCH");
  EXPECT_EQ(find_check(diagnosis, "driver_match")->found, "libcuda 580.82.07, kernel module 580.65.06");
  EXPECT_THAT(find_check(diagnosis, "driver_match")->fix, HasSubstr("reboot"));
}

TEST(GpuVerdict, DeviceNodesMissingInAContainer) {
  CapturedHost host;
  make_compatible(host);
  for (const char* node : {"/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"}) host.remove(node);
  host.write("/.dockerenv", "");
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_DEVICE_MISSING");
  EXPECT_THAT(find_check(diagnosis, "device_nodes")->found, HasSubstr("/dev/nvidia0: No such file"));
  EXPECT_THAT(find_check(diagnosis, "device_nodes")->fix, HasSubstr("--gpus all"));
}

TEST(GpuVerdict, PermissionDenied) {
  CapturedHost host;
  make_compatible(host);
  ASSERT_EQ(::chmod(host.path("/dev/nvidiactl").c_str(), 0), 0);
  const std::string text = test::as_nobody([&] { return to_text(diagnose_cuda(host), false); });
  EXPECT_THAT(text, HasSubstr("E_DEVICE_PERMISSION"));
  EXPECT_THAT(text, HasSubstr("/dev/nvidiactl: Permission denied (mode 0000, owner "));
  EXPECT_THAT(text, HasSubstr("NVreg_DeviceFileMode"));
  EXPECT_THAT(text, HasSubstr("verdict: incompatible"));
}

TEST(GpuVerdict, LibcudaMissing) {
  CapturedHost host;
  make_compatible(host);
  host.remove(std::string(kLibraries) + "/libcuda.so.1");
  expect_refusal(diagnose_cuda(host), "E_LIBCUDA_MISSING");
}

TEST(GpuVerdict, LibcudaThatIsAStub) {
  CapturedHost host;
  make_compatible(host);
  host.remove(std::string(kLibraries) + "/libcuda.so.1");
  host.copy(STAND_IN_LIBCUDA_WORKS, "/usr/local/cuda/lib64/stubs/libcuda.so");
  host.link(std::string(kLibraries) + "/libcuda.so.1", "/usr/local/cuda/lib64/stubs/libcuda.so");
  expect_refusal(diagnose_cuda(host), "E_LIBCUDA_STUB");
}

TEST(GpuVerdict, LibcudaOfAnotherClass) {
  CapturedHost host;
  make_compatible(host);
  std::string elf32(
      "\x7f"
      "ELF\x01\x01\x01",
      7);
  elf32.resize(52);
  elf32[18] = 3;  // EM_386
  host.write(std::string(kLibraries) + "/libcuda.so.580.65.06", elf32);
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_LIBCUDA_WRONG_CLASS");
  EXPECT_THAT(find_check(diagnosis, "libcuda")->found, HasSubstr("32-bit i386, not 64-bit x86_64"));
}

TEST(GpuVerdict, LibcudaInsideABundleIsNoCandidateButTheUsersWordIs) {
  CapturedHost host;
  make_compatible(host);
  host.remove(std::string(kLibraries) + "/libcuda.so.1");
  host.copy(STAND_IN_LIBCUDA_WORKS, "/srv/tree/lib/libcuda.so.1");
  host.write("/srv/tree/holdall/bundle.json", "{}");
  host.link(std::string(kLibraries) + "/libcuda.so.1", "/srv/tree/lib/libcuda.so.1");
  expect_refusal(diagnose_cuda(host), "E_LIBCUDA_BUNDLED");

  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.libcuda = host.path("/srv/tree/lib/libcuda.so.1");
  EXPECT_EQ(diagnose(&info, options).verdict, Verdict::kCompatible);
}

TEST(GpuVerdict, LibcudaIsFoundBehindARejectedOne) {
  CapturedHost host;
  make_compatible(host);
  host.remove(std::string(kLibraries) + "/libcuda.so.1");
  host.write(std::string(kLibraries) + "/libcuda.so.1", "not an ELF file, but long enough");
  host.copy(STAND_IN_LIBCUDA_WORKS, "/usr/local/nvidia/lib64/libcuda.so.1");
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "libcuda")->found, "/usr/local/nvidia/lib64/libcuda.so.1");
}

TEST(GpuVerdict, WslNeedsNeitherModuleNorNodes) {
  CapturedHost host;
  host.add_machine();
  host.write("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n");
  host.write("/dev/dxg", "");
  host.copy(STAND_IN_LIBCUDA_WORKS, "/usr/lib/wsl/lib/libcuda.so.1");
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "driver")->found, "CUDA 13.0");
}

TEST(GpuVerdict, WslWithAnOldWindowsDriverIsJudgedByItsCuda) {
  CapturedHost host;
  host.add_machine();
  host.write("/dev/dxg", "");
  host.copy(STAND_IN_LIBCUDA_12_2, "/usr/lib/wsl/lib/libcuda.so.1");
  EXPECT_THAT(failing_codes(diagnose_cuda(host)), HasSubstr("E_DRIVER_TOO_OLD"));
}

TEST(GpuVerdict, WslWithoutItsGpuPointsToWindows) {
  CapturedHost host;
  host.add_machine();
  host.write("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n");
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_NO_GPU");
  EXPECT_THAT(find_check(diagnosis, "gpu")->fix, HasSubstr("Windows"));
}

TEST(GpuVerdict, UncoveredDevice) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.65.06", STAND_IN_LIBCUDA_VOLTA);
  expect_refusal(diagnose_cuda(host), "E_SM_NOT_COVERED");
}

TEST(GpuVerdict, TooLittleGpuMemory) {
  CapturedHost host;
  make_compatible(host);
  bundle::BundleInfo info = cuda_bundle();
  info.requires_host.gpu_memory_bytes = std::uint64_t{81} << 30;
  expect_refusal(diagnose(&info, options_for(host)), "E_GPU_MEMORY");
  info.requires_host.gpu_memory_bytes = std::uint64_t{80} << 30;
  EXPECT_EQ(diagnose(&info, options_for(host)).verdict, Verdict::kCompatible);
}

struct InitError {
  int result;
  const char* code;
};
class CudaErrors : public ::testing::TestWithParam<InitError> {};

TEST_P(CudaErrors, HaveTheirCodeAndTheirWayOut) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  const std::string name = "/liblibcuda_error_" + std::to_string(GetParam().result) + ".so";
  host.add_driver("580.65.06", STAND_IN_LIBCUDA_ERROR_FOLDER + name);
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, GetParam().code);
  EXPECT_THAT(find_check(diagnosis, "cuda")->found, HasSubstr("(" + std::to_string(GetParam().result) + ")"));
}

INSTANTIATE_TEST_SUITE_P(OfCuInit, CudaErrors,
                         ::testing::Values(InitError{34, "E_LIBCUDA_STUB"}, InitError{35, "E_DRIVER_TOO_OLD"},
                                           InitError{46, "E_DEVICE_BUSY"}, InitError{100, "E_NO_GPU"},
                                           InitError{209, "E_SM_NOT_COVERED"}, InitError{222, "E_PTX_TOO_NEW"},
                                           InitError{802, "E_FABRIC_MANAGER"}, InitError{803, "E_DRIVER_MISMATCH"},
                                           InitError{804, "E_COMPAT_UNSUPPORTED"}, InitError{999, "E_CUDA_INIT"},
                                           InitError{12345, "E_CUDA_INIT"}),
                         [](const auto& test) { return "Result" + std::to_string(test.param.result); });

TEST(GpuVerdict, DriverThatListsNothingBlamesTheHiddenDevices) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.65.06", STAND_IN_LIBCUDA_NONE);
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.environment->emplace("CUDA_VISIBLE_DEVICES", "7");
  const Diagnosis diagnosis = diagnose(&info, options);
  expect_refusal(diagnosis, "E_NO_GPU");
  EXPECT_THAT(find_check(diagnosis, "cuda")->found, HasSubstr("CUDA_VISIBLE_DEVICES=7"));
}

TEST(GpuVerdict, HiddenGpusAreAWarning) {
  CapturedHost host;
  make_compatible(host);
  host.write("/dev/nvidia1", "");
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.environment->emplace("CUDA_VISIBLE_DEVICES", "0");
  const Diagnosis diagnosis = diagnose(&info, options);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible);
  ASSERT_TRUE(find_check(diagnosis, "visible_devices"));
  EXPECT_EQ(find_check(diagnosis, "visible_devices")->found, "1 of 2 GPUs");
}

TEST(GpuVerdict, CrashOfTheDriver) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.65.06", STAND_IN_LIBCUDA_CRASHES);
  expect_refusal(diagnose_cuda(host), "E_CUDA_CRASH");
}

TEST(GpuVerdict, HangOfTheDriver) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.65.06", STAND_IN_LIBCUDA_HANGS);
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.probe_timeout = std::chrono::milliseconds(200);
  const Diagnosis diagnosis = diagnose(&info, options);
  expect_refusal(diagnosis, "E_CUDA_TIMEOUT");
  EXPECT_EQ(find_check(diagnosis, "cuda")->found, "no answer within 200 ms: cuInit");
}

TEST(GpuVerdict, CpuIsTakenOnlyWhenAllowedAndSaysSo) {
  CapturedHost host;
  host.add_machine();
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.allow_cpu = true;
  const Diagnosis diagnosis = diagnose(&info, options);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible);
  EXPECT_EQ(find_check(diagnosis, "gpu")->status, Status::kWarn);
  EXPECT_EQ(find_check(diagnosis, "gpu")->code, "E_NO_GPU");
}

TEST(GpuVerdict, AllowedCpuDoesNotForgiveTheMachine) {
  CapturedHost host;
  host.add_machine();
  bundle::BundleInfo info = cuda_bundle();
  info.requires_host.glibc->version = "2.99";
  DoctorOptions options = options_for(host);
  options.allow_cpu = true;
  EXPECT_EQ(failing_codes(diagnose(&info, options)), "E_GLIBC_TOO_OLD");
}

TEST(GpuVerdict, BundleForTheCpuIsNotConcernedByABrokenDriver) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nouveau");
  const bundle::BundleInfo info = test::cpu_bundle();
  EXPECT_EQ(diagnose(&info, options_for(host)).verdict, Verdict::kCompatible);
}

TEST(GpuVerdict, HostAloneReportsABrokenDriverButNotAMissingGpu) {
  CapturedHost broken;
  broken.add_machine();
  broken.add_gpu("nouveau");
  EXPECT_EQ(failing_codes(diagnose(nullptr, options_for(broken))), "E_NOUVEAU");

  CapturedHost without;
  without.add_machine();
  const Diagnosis diagnosis = diagnose(nullptr, options_for(without));
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible);
  EXPECT_EQ(find_check(diagnosis, "gpu")->status, Status::kWarn);
  EXPECT_EQ(find_check(diagnosis, "gpu")->code, "E_NO_GPU");
}

TEST(GpuVerdict, OverrideReplacesTheDriversCuda) {
  CapturedHost host;
  make_compatible(host);
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.environment->emplace("CONDA_OVERRIDE_CUDA", "12.9");
  const Diagnosis old = diagnose(&info, options);
  EXPECT_EQ(failing_codes(old), "E_DRIVER_TOO_OLD");
  EXPECT_EQ(find_check(old, "driver")->source, "CONDA_OVERRIDE_CUDA");
  (*options.environment)["CONDA_OVERRIDE_CUDA"] = "13.0";
  EXPECT_EQ(diagnose(&info, options).verdict, Verdict::kCompatible);
  (*options.environment)["CONDA_OVERRIDE_CUDA"] = "";
  EXPECT_EQ(failing_codes(diagnose(&info, options)), "E_NO_GPU");
}

}  // namespace
}  // namespace holdall::launcher
