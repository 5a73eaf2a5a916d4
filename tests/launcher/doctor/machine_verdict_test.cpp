#include <gmock/gmock.h>
#include <gnu/libc-version.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/error.h"
#include "captured_host.h"
#include "launcher/doctor/examination.h"

namespace holdall::launcher {
namespace {

using test::CapturedHost;
using test::cpu_bundle;
using test::failing_codes;
using test::find_check;
using test::options_for;
using ::testing::HasSubstr;

TEST(MachineVerdict, GlibcIsReadFromItsBanner) {
  CapturedHost host;
  host.add_machine();
  const bundle::BundleInfo info = cpu_bundle();
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "glibc")->found, "2.36");
  EXPECT_EQ(find_check(diagnosis, "glibc")->source, "/usr/lib/x86_64-linux-gnu/libc.so.6");
}

TEST(MachineVerdict, OldGlibcWithoutABannerIsReadFromItsVersions) {
  CapturedHost host;
  host.add_machine();
  host.copy(STAND_IN_LIBC_VERSIONS, "/usr/lib/x86_64-linux-gnu/libc.so.6");
  const bundle::BundleInfo info = cpu_bundle();
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  EXPECT_EQ(diagnosis.verdict, Verdict::kIncompatible);
  EXPECT_EQ(failing_codes(diagnosis), "E_GLIBC_TOO_OLD");
  EXPECT_EQ(find_check(diagnosis, "glibc")->found, "2.31");
  EXPECT_EQ(find_check(diagnosis, "glibc")->need, ">=2.34");
  EXPECT_EQ(find_check(diagnosis, "glibc")->why, "bin/worker");
}

TEST(MachineVerdict, OverrideReplacesGlibc) {
  CapturedHost host;
  host.add_machine();
  const bundle::BundleInfo info = cpu_bundle();
  DoctorOptions options = options_for(host);
  options.environment->emplace("CONDA_OVERRIDE_GLIBC", "2.28");
  const Diagnosis diagnosis = diagnose(&info, options);
  EXPECT_EQ(failing_codes(diagnosis), "E_GLIBC_TOO_OLD");
  EXPECT_EQ(find_check(diagnosis, "glibc")->source, "CONDA_OVERRIDE_GLIBC");
}

bundle::BundleInfo bundle_with_libc() {
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host.libc = bundle::BundledLibc{"2.36", "libc/ld-linux-x86-64.so.2", {"lib"}};
  return info;
}

TEST(MachineVerdict, OldGlibcIsNoMatterToABundleThatBringsItsOwn) {
  CapturedHost host;
  host.add_machine();
  host.copy(STAND_IN_LIBC_VERSIONS, "/usr/lib/x86_64-linux-gnu/libc.so.6");
  const bundle::BundleInfo info = bundle_with_libc();
  DoctorOptions options = options_for(host);
  const Diagnosis diagnosis = diagnose(&info, options);
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(diagnosis.libc, bundle::LibcChoice::kBundled);
  EXPECT_EQ(find_check(diagnosis, "glibc")->found, "2.31, not used: runs on the bundled 2.36");
  EXPECT_THAT(to_text(diagnosis, false), HasSubstr("verdict: compatible with the bundled libc\n"));
  EXPECT_THAT(to_json(diagnosis), HasSubstr("\"libc\": \"bundled\""));

  options.libc = LibcWish::kHost;
  const Diagnosis refusal = diagnose(&info, options);
  EXPECT_EQ(failing_codes(refusal), "E_GLIBC_TOO_OLD");
  EXPECT_THAT(find_check(refusal, "glibc")->fix, HasSubstr("leave out --libc host"));
}

TEST(MachineVerdict, GlibcThatWillDoIsPreferredToTheBundledOne) {
  CapturedHost host;
  host.add_machine();
  const bundle::BundleInfo info = bundle_with_libc();
  DoctorOptions options = options_for(host);
  EXPECT_EQ(diagnose(&info, options).libc, bundle::LibcChoice::kHost);
  options.libc = LibcWish::kBundled;
  EXPECT_EQ(diagnose(&info, options).libc, bundle::LibcChoice::kBundled);
  options.libc = LibcWish::kAuto;
  options.environment->emplace("CONDA_OVERRIDE_GLIBC", "2.28");
  EXPECT_EQ(diagnose(&info, options).libc, bundle::LibcChoice::kBundled);
}

TEST(MachineVerdict, HostWithoutGlibcRunsABundleThatBringsItsOwn) {
  CapturedHost host;
  host.add_machine();
  host.remove("/usr/lib/x86_64-linux-gnu/libc.so.6");
  host.write("/usr/lib/ld-musl-x86_64.so.1", "");
  const bundle::BundleInfo info = bundle_with_libc();
  EXPECT_EQ(diagnose(&info, options_for(host)).verdict, Verdict::kCompatible);
}

TEST(MachineVerdict, WishForALibcThatTheBundleLacksIsRefused) {
  EXPECT_THROW(require_libc(cpu_bundle(), LibcWish::kBundled), bundle::Error);
  EXPECT_NO_THROW(require_libc(cpu_bundle(), LibcWish::kAuto));
  EXPECT_NO_THROW(require_libc(bundle_with_libc(), LibcWish::kBundled));
}

TEST(MachineVerdict, UnknownGlibcIsAnOpenQuestion) {
  CapturedHost host;
  host.add_machine();
  host.remove("/usr/lib/x86_64-linux-gnu/libc.so.6");
  const bundle::BundleInfo info = cpu_bundle();
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  EXPECT_EQ(diagnosis.verdict, Verdict::kUnknown);
  EXPECT_THAT(to_text(diagnosis, false), HasSubstr("verdict: unknown: could not be checked: glibc"));
}

TEST(MachineVerdict, MuslIsRefused) {
  CapturedHost host;
  host.add_machine();
  host.remove("/usr/lib/x86_64-linux-gnu/libc.so.6");
  host.write("/usr/lib/ld-musl-x86_64.so.1", "");
  const bundle::BundleInfo info = cpu_bundle();
  EXPECT_EQ(failing_codes(diagnose(&info, options_for(host))), "E_GLIBC_TOO_OLD");
}

TEST(MachineVerdict, OtherArchitecture) {
  CapturedHost host;
  host.add_machine();
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host.arch = "aarch64";
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  EXPECT_EQ(failing_codes(diagnosis), "E_ARCH");
  EXPECT_EQ(find_check(diagnosis, "architecture")->found, "x86_64");
}

TEST(MachineVerdict, CpuLevelNamesTheMissingInstructions) {
  CapturedHost host;
  host.add_machine();
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host.cpu_level = 4;
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  EXPECT_EQ(failing_codes(diagnosis), "E_CPU_LEVEL");
  EXPECT_EQ(find_check(diagnosis, "cpu")->found, "x86-64-v3, without avx512f avx512bw avx512cd avx512dq avx512vl");
  info.requires_host.cpu_level = 3;
  EXPECT_EQ(diagnose(&info, options_for(host)).verdict, Verdict::kCompatible);
}

TEST(MachineVerdict, MemoryIsWhatTheControlGroupLeaves) {
  CapturedHost host;
  host.add_machine();
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host.memory_bytes = std::uint64_t{32} << 30;
  EXPECT_EQ(diagnose(&info, options_for(host)).verdict, Verdict::kCompatible);
  host.write("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(diagnose(&info, options_for(host)).verdict, Verdict::kCompatible);
  host.write("/sys/fs/cgroup/memory.max", "17179869184\n");
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  EXPECT_EQ(failing_codes(diagnosis), "E_MEMORY");
  EXPECT_EQ(find_check(diagnosis, "memory")->source, "/sys/fs/cgroup/memory.max");
}

TEST(MachineVerdict, DiskCannotBeCaptured) {
  CapturedHost host;
  host.add_machine();
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host.disk_bytes = std::uint64_t{1} << 62;
  const Diagnosis diagnosis = diagnose(&info, options_for(host));
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible);
  EXPECT_EQ(find_check(diagnosis, "disk")->status, Status::kSkip);
}

TEST(StorageVerdict, TooLittleSpaceAloneIsAMatterOfStorage) {
  CapturedHost folder;
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host = {};
  info.requires_host.disk_bytes = std::uint64_t{1} << 60;
  DoctorOptions options;
  options.root = folder.path("/not/yet/there");
  const Diagnosis diagnosis = diagnose(&info, options);
  EXPECT_EQ(failing_codes(diagnosis), "E_DISK");
  EXPECT_TRUE(diagnosis.storage_only);
  EXPECT_EQ(find_check(diagnosis, "disk")->source, folder.root());
}

TEST(StorageVerdict, SpaceAndGlibcTogetherAreNotStorageAlone) {
  CapturedHost folder;
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host = {};
  info.requires_host.disk_bytes = std::uint64_t{1} << 60;
  info.requires_host.glibc = bundle::Floor{"99.1", "", ""};
  DoctorOptions options;
  options.root = folder.root();
  const Diagnosis diagnosis = diagnose(&info, options);
  EXPECT_EQ(failing_codes(diagnosis), "E_GLIBC_TOO_OLD E_DISK");
  EXPECT_FALSE(diagnosis.storage_only);
}

TEST(StorageVerdict, TooManyFiles) {
  CapturedHost folder;
  bundle::BundleInfo info = cpu_bundle();
  info.requires_host = {};
  info.files = std::uint64_t{1} << 50;
  DoctorOptions options;
  options.root = folder.root();
  const Diagnosis diagnosis = diagnose(&info, options);
  const Check& inodes = *find_check(diagnosis, "inodes");
  if (inodes.found == "no limit") GTEST_SKIP() << "this filesystem has no fixed number of inodes";
  EXPECT_EQ(failing_codes(diagnosis), "E_DISK");
}

Diagnosis diagnose_storage(const std::string& root) {
  bundle::BundleInfo info = cpu_bundle();
  const std::string arch = info.requires_host.arch;
  info.requires_host = {};
  info.requires_host.arch = arch;
  DoctorOptions options;
  options.root = root;
  return diagnose(&info, options);
}

TEST(StorageVerdict, FolderOfSomebodyElse) {
  CapturedHost folder;
  ASSERT_EQ(::chmod(folder.root().c_str(), 0555), 0);
  EXPECT_EQ(test::as_nobody([&] { return failing_codes(diagnose_storage(folder.path("/store"))); }), "E_DISK");
}

TEST(StorageVerdict, DiskFromWhichNothingMayBeExecuted) {
  CapturedHost folder;
  const auto codes = test::with_noexec(folder.root(), [&] { return failing_codes(diagnose_storage(folder.root())); });
  if (!codes) GTEST_SKIP() << "no mount namespaces for this user";
  EXPECT_EQ(*codes, "E_NOEXEC");
}

TEST(StorageVerdict, NetworkFilesystemNeedsTheUsersConsent) {
  constexpr std::uint32_t kNfs = 0x6969, kExt4 = 0xEF53, kFuse = 0x65735546;
  DoctorOptions options;
  EXPECT_EQ(judge_filesystem(kNfs, options).status, Status::kFail);
  EXPECT_EQ(judge_filesystem(kNfs, options).code, "E_NETWORK_FS");
  EXPECT_EQ(judge_filesystem(kExt4, options).status, Status::kOk);
  EXPECT_EQ(judge_filesystem(kFuse, options).status, Status::kOk);  // overlays of rootless containers
  options.allow_network_filesystem = true;
  EXPECT_EQ(judge_filesystem(kNfs, options).status, Status::kWarn);
}

TEST(StorageVerdict, FolderOfOnesOwnIsFine) {
  CapturedHost folder;
  const Diagnosis diagnosis = diagnose_storage(folder.path("/store"));
  EXPECT_EQ(diagnosis.verdict, Verdict::kCompatible) << to_text(diagnosis, false);
  EXPECT_EQ(find_check(diagnosis, "exec")->status, Status::kOk);
}

TEST(LiveHost, KnowsItself) {
  const Diagnosis diagnosis = diagnose(nullptr, {});
  ASSERT_TRUE(find_check(diagnosis, "glibc"));
  EXPECT_EQ(find_check(diagnosis, "glibc")->found, ::gnu_get_libc_version());
  EXPECT_EQ(find_check(diagnosis, "page_size")->found, std::to_string(::sysconf(_SC_PAGESIZE)));
}

}  // namespace
}  // namespace holdall::launcher
