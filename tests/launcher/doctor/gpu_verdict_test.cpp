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

// A host whose driver and management library are the stand-ins of that name.
void make_host(CapturedHost& host, const char* libcuda, const char* nvml = nullptr) {
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.65.06", libcuda);
  if (nvml != nullptr) host.copy(nvml, std::string(kLibraries) + "/libnvidia-ml.so.1");
}

TEST(GpuVerdict, EachDeviceIsTried) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_TWO, STAND_IN_NVML_WELL);
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "smoke")->found, "GPU0 Stand-in \"0\" (sm_80), GPU1 Stand-in \"1\" (sm_80)");
  EXPECT_EQ(find_check(diagnosis, "compute_mode")->status, Status::kOk);
  EXPECT_EQ(find_check(diagnosis, "gpu_health")->status, Status::kOk);
  EXPECT_EQ(find_check(diagnosis, "mig"), nullptr);
}

TEST(GpuVerdict, DeviceThatDoesNothing) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_FAULTY);
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_SMOKE");
  EXPECT_THAT(find_check(diagnosis, "smoke")->found, HasSubstr("cuDevicePrimaryCtxRetain: "));
  EXPECT_THAT(find_check(diagnosis, "smoke")->found, HasSubstr("(719)"));
  EXPECT_THAT(find_check(diagnosis, "smoke")->fix, HasSubstr("Xid"));
}

TEST(GpuVerdict, DeviceThatForgetsWhatIsWritten) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_WRONG);
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_SMOKE");
  EXPECT_THAT(find_check(diagnosis, "smoke")->why, HasSubstr("not what was written"));
}

TEST(GpuVerdict, DeviceThatHangsInItsTrial) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_STUCK);
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.probe_timeout = std::chrono::milliseconds(200);
  const Diagnosis diagnosis = diagnose(&info, options);
  expect_refusal(diagnosis, "E_CUDA_TIMEOUT");
  EXPECT_THAT(find_check(diagnosis, "cuda")->found, HasSubstr("writing to the memory of GPU0"));
}

TEST(GpuVerdict, OneDeviceThatWorksIsEnough) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_TWO_FAULTY);
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "smoke")->status, Status::kWarn);
  EXPECT_THAT(find_check(diagnosis, "smoke")->found, HasSubstr("GPU0 "));
  EXPECT_THAT(find_check(diagnosis, "smoke")->fix, HasSubstr("--device"));
}

TEST(GpuVerdict, DriverWithoutTheTrialsFunctionsIsNotBlamed) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_OLD);
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "smoke"), nullptr);
}

TEST(GpuVerdict, BusyDeviceIsRefusedUnlessItsOwnServiceHoldsIt) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_BUSY);
  expect_refusal(diagnose_cuda(host), "E_DEVICE_BUSY");
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.service_runs = true;
  const Diagnosis replacing = diagnose(&info, options);
  EXPECT_EQ(replacing.verdict, Verdict::kCompatible) << to_text(replacing, false);
  EXPECT_THAT(find_check(replacing, "smoke")->note, HasSubstr("to be replaced"));
}

TEST(GpuVerdict, MemoryThatOthersHaveTakenIsNotFree) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_USED);
  bundle::BundleInfo info = cuda_bundle();
  info.requires_host.gpu_memory_bytes = std::uint64_t{11} << 30;
  DoctorOptions options = options_for(host);
  const Diagnosis diagnosis = diagnose(&info, options);
  expect_refusal(diagnosis, "E_GPU_MEMORY");
  EXPECT_EQ(find_check(diagnosis, "gpu_memory")->found, "10.0 GiB free of 80.0 GiB");
  EXPECT_THAT(find_check(diagnosis, "gpu_memory")->fix, HasSubstr("stop what uses the GPU"));
  options.service_runs = true;
  EXPECT_EQ(diagnose(&info, options).verdict, Verdict::kCompatible);
  info.requires_host.gpu_memory_bytes = std::uint64_t{81} << 30;
  EXPECT_EQ(failing_codes(diagnose(&info, options)), "E_GPU_MEMORY");
}

TEST(GpuVerdict, ProhibitedDeviceIsOneFinding) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_BUSY, STAND_IN_NVML_PROHIBITED);
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_DEVICE_BUSY");
  EXPECT_EQ(find_check(diagnosis, "smoke"), nullptr);
  EXPECT_THAT(find_check(diagnosis, "compute_mode")->fix, HasSubstr("nvidia-smi -c DEFAULT"));

  CapturedHost two;
  make_host(two, STAND_IN_LIBCUDA_TWO, STAND_IN_NVML_PROHIBITED);
  const Diagnosis other = diagnose_cuda(two);
  EXPECT_EQ(other.verdict, Verdict::kCompatible) << to_text(other, false);
  EXPECT_EQ(find_check(other, "compute_mode")->status, Status::kWarn);
  EXPECT_EQ(find_check(other, "smoke")->found, "GPU1 Stand-in \"1\" (sm_80)");
}

TEST(GpuVerdict, MigWithoutAnInstance) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_NONE, STAND_IN_NVML_MIG);
  const Diagnosis diagnosis = diagnose_cuda(host);
  expect_refusal(diagnosis, "E_NO_GPU");
  EXPECT_THAT(find_check(diagnosis, "cuda")->found, HasSubstr("MIG is on, without an instance: GPU-0010"));
  EXPECT_THAT(find_check(diagnosis, "cuda")->fix, HasSubstr("nvidia-smi mig -cgi"));

  CapturedHost beside;  // CUDA sees another device
  make_host(beside, STAND_IN_LIBCUDA_WORKS, STAND_IN_NVML_MIG);
  const Diagnosis other = diagnose_cuda(beside);
  EXPECT_EQ(other.verdict, Verdict::kCompatible) << to_text(other, false);
  EXPECT_EQ(find_check(other, "mig")->status, Status::kWarn);
}

TEST(GpuVerdict, MigInstancesThatCannotBeReached) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_NONE, STAND_IN_NVML_INSTANCES);
  expect_refusal(diagnose_cuda(host), "E_DEVICE_MISSING");
  host.write("/dev/nvidia-caps/nvidia-cap21", "");
  expect_refusal(diagnose_cuda(host), "E_NO_GPU");
  ASSERT_EQ(::chmod(host.path("/dev/nvidia-caps/nvidia-cap21").c_str(), 0), 0);
  const std::string text = test::as_nobody([&] { return to_text(diagnose_cuda(host), false); });
  EXPECT_THAT(text, HasSubstr("E_DEVICE_PERMISSION"));
  EXPECT_THAT(text, HasSubstr("/dev/nvidia-caps/nvidia-cap21: Permission denied (mode 0000"));
}

TEST(GpuVerdict, FailingMemoryIsAWarning) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_WORKS, STAND_IN_NVML_ILL);
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible);
  const Check& health = *find_check(diagnosis, "gpu_health");
  EXPECT_EQ(health.status, Status::kWarn);
  EXPECT_THAT(health.found,
              HasSubstr("GPU0 Stand-in \"0\" (sm_80): 3 uncorrected memory errors, memory rows wait to be "
                        "replaced, memory rows could not be replaced"));
}

TEST(GpuVerdict, ManagementLibraryThatCrashesIsAWarning) {
  CapturedHost host;
  make_host(host, STAND_IN_LIBCUDA_WORKS, STAND_IN_NVML_CRASHES);
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible);
  EXPECT_EQ(find_check(diagnosis, "nvml")->found, "signal 6");
}

TEST(GpuVerdict, MpsWithoutItsServerIsAWarning) {
  CapturedHost host;
  make_compatible(host);
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.environment->emplace("CUDA_MPS_PIPE_DIRECTORY", "/run/mps");
  EXPECT_EQ(find_check(diagnose(&info, options), "mps")->status, Status::kWarn);
  host.write("/run/mps/control", "");
  EXPECT_EQ(find_check(diagnose(&info, options), "mps")->status, Status::kOk);
}

// A newer libcuda of a forward compatibility package, on a kernel driver of a branch that it is made for.
TEST(GpuVerdict, ForwardCompatibilityCountsOnItsBranchesOnly) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("535.288.01", STAND_IN_LIBCUDA_12_2);
  host.copy(STAND_IN_LIBCUDA_COMPATIBLE, "/usr/local/cuda/compat/libcuda.so.580.65.06");
  const bundle::BundleInfo info = cuda_bundle();
  DoctorOptions options = options_for(host);
  options.libcuda = host.path("/usr/local/cuda/compat/libcuda.so.580.65.06");
  const Diagnosis diagnosis = diagnose(&info, options);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "driver")->found, "580.65.06, CUDA 13.0");
  EXPECT_EQ(find_check(diagnosis, "driver")->note,
            "forward compatibility: libcuda 580.65.06 on kernel driver 535.288.01");
  EXPECT_EQ(find_check(diagnosis, "driver_match"), nullptr);

  host.write("/sys/module/nvidia/version", "545.23.08\n");
  const Diagnosis other = diagnose(&info, options);
  expect_refusal(other, "E_COMPAT_UNSUPPORTED");
  EXPECT_EQ(find_check(other, "driver")->need, "a kernel driver of branch 535, 550, 570");

  host.write("/sys/module/nvidia/version", "580.82.07\n");  // newer than the package
  expect_refusal(diagnose(&info, options), "E_DRIVER_MISMATCH");
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
