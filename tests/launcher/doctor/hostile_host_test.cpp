// A captured host comes from somebody else: none of its files may crash, block or lead the doctor outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "captured_host.h"

namespace holdall::launcher {
namespace {

using test::CapturedHost;
using test::failing_codes;
using test::find_check;

Diagnosis diagnose_cuda(const CapturedHost& host) {
  const bundle::BundleInfo info = test::cuda_bundle();
  return diagnose(&info, test::options_for(host));
}

TEST(HostileHost, HugeVersionFileIsNoVersion) {
  CapturedHost host;
  test::make_compatible(host);
  host.write("/sys/module/nvidia/version", std::string(5 << 20, '9'));
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(find_check(diagnosis, "driver")->source, "/proc/driver/nvidia/version");
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible);
}

TEST(HostileHost, GarbageInEveryFileIsAnswered) {
  CapturedHost host;
  test::make_compatible(host);
  std::string garbage;
  for (unsigned i = 0; i < 5000; ++i) garbage += static_cast<char>(i * 2654435761u >> 13);
  for (const char* path : {"/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/sys/module/nvidia/version",
                           "/proc/driver/nvidia/version", "/proc/driver/nvidia/gpus/0000:01:00.0/information",
                           "/sys/fs/cgroup/memory.max", "/proc/1/cgroup"})
    host.write(path, garbage);
  const Diagnosis diagnosis = diagnose_cuda(host);
  // The name of libcuda still tells the driver's version; what is not known stays open.
  EXPECT_EQ(diagnosis.verdict, Verdict::kUnknown) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "driver")->found, "580.65.06, CUDA 13.0");
}

TEST(HostileHost, CyclicLinksAreAbsence) {
  CapturedHost host;
  host.add_machine();
  host.link("/sys/bus/pci/devices", "devices");
  host.link("/dev", "dev/dev");
  host.link("/etc/ld.so.cache", "../etc/ld.so.cache");
  EXPECT_EQ(failing_codes(diagnose_cuda(host)), "E_NO_GPU");
}

TEST(HostileHost, LibcudaOutsideIsNotReached) {
  CapturedHost outside, host;
  outside.copy(STAND_IN_LIBCUDA_WORKS, "/libcuda.so.1");
  test::make_compatible(host);
  host.remove("/usr/lib/x86_64-linux-gnu/libcuda.so.1");
  host.link("/usr/lib/x86_64-linux-gnu/libcuda.so.1", outside.path("/libcuda.so.1"));
  EXPECT_EQ(failing_codes(diagnose_cuda(host)), "E_LIBCUDA_MISSING");
}

TEST(HostileHost, FifosDoNotBlock) {
  CapturedHost host;
  test::make_compatible(host);
  for (const char* path : {"/etc/ld.so.cache", "/proc/cpuinfo", "/sys/module/nvidia/version"}) {
    host.remove(path);
    std::filesystem::create_directories(std::filesystem::path(host.path(path)).parent_path());
    ASSERT_EQ(::mkfifo(host.path(path).c_str(), 0600), 0);
  }
  EXPECT_EQ(diagnose_cuda(host).verdict, Verdict::kUnknown);  // the CPU's level
}

TEST(HostileHost, CorruptLibcudaThatTheLoaderRefusesIsAFinding) {
  CapturedHost host;
  test::make_compatible(host);
  const std::string library = host.path("/usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06");
  std::filesystem::resize_file(library, 100);
  const Diagnosis diagnosis = diagnose_cuda(host);
  EXPECT_EQ(failing_codes(diagnosis), "E_CUDA_INIT") << to_text(diagnosis, false);
}

TEST(HostileHost, EmptyFolderLeavesQuestionsOpen) {
  CapturedHost host;
  EXPECT_EQ(failing_codes(diagnose_cuda(host)), "E_NO_GPU");
  const bundle::BundleInfo info = test::cpu_bundle();
  EXPECT_EQ(diagnose(&info, test::options_for(host)).verdict, Verdict::kUnknown);
}

TEST(HostileHost, AbsentFolderLeavesQuestionsOpen) {
  DoctorOptions options;
  options.sysroot = "/nonexistent/host";
  const bundle::BundleInfo info = test::cpu_bundle();
  EXPECT_EQ(diagnose(&info, options).verdict, Verdict::kUnknown);
}

}  // namespace
}  // namespace holdall::launcher
