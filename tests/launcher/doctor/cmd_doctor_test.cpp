// The program, from outside: exit status and both streams.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bundle/writer.h"
#include "captured_host.h"

namespace holdall::launcher {
namespace {

using test::CapturedHost;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

struct Outcome {
  int status = -1;
  std::string out, err;
  Clock::duration time{};
  std::uint64_t bytes_read = 0;  // by all of its read calls
};

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

Outcome holdall(std::vector<std::string> arguments) {
  CapturedHost folder;
  arguments.insert(arguments.begin(), "holdall");
  std::vector<char*> words;
  for (std::string& word : arguments) words.push_back(word.data());
  words.push_back(nullptr);
  std::string home = "HOME=" + folder.root();
  char* environment[] = {home.data(), nullptr};
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, folder.path("/out").c_str(), O_WRONLY | O_CREAT, 0600);
  ::posix_spawn_file_actions_addopen(&files, 2, folder.path("/err").c_str(), O_WRONLY | O_CREAT, 0600);
  const auto start = Clock::now();
  pid_t child = -1;
  Outcome outcome;
  if (::posix_spawn(&child, HOLDALL_PROGRAM, &files, nullptr, words.data(), environment) != 0) return outcome;
  ::posix_spawn_file_actions_destroy(&files);
  siginfo_t ended{};
  ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);  // its accounts can still be read
  outcome.time = Clock::now() - start;
  const std::string accounts = slurp("/proc/" + std::to_string(child) + "/io");
  if (const std::size_t at = accounts.find("rchar: "); at != std::string::npos)
    outcome.bytes_read = std::stoull(accounts.substr(at + 7));
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = slurp(folder.path("/out"));
  outcome.err = slurp(folder.path("/err"));
  return outcome;
}

std::string write_bundle(const CapturedHost& folder, const bundle::BundleInfo& info) {
  const std::string path = folder.path("/bundle.tar.zst");
  std::ofstream file(path, std::ios::binary);
  bundle::Writer writer(info, {}, [&](std::span<const std::byte> data) {
    file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  });
  writer.finish();
  return path;
}

// A service whose library carries that fat binary of tests/data/fatbin, packed by holdall-pack.
std::string pack_bundle(CapturedHost& folder, const std::string& fatbin) {
  folder.write("/serve.c", "int k(void);\nint main(void) { return k(); }\n");
  folder.write("/k.c", "__asm__(\".section .nv_fatbin,\\\"a\\\"\\n.balign 8\\n.incbin \\\"" HOLDALL_TEST_DATA
                       "/fatbin/" +
                           fatbin + "\\\"\\n.previous\");\nint cudart(void);\nint k(void) { return cudart(); }\n");
  folder.write("/cudart.c", "int cudart(void) { return 0; }\n");
  folder.write("/manifest.json", R"({"name": "svc", "version": "1", "executables": ["serve"], "library_paths": ["."],
    "device": "cuda"})");
  const std::string script = "cd '" + folder.root() + R"(' &&
    cc -shared -fPIC -Wl,-soname,libcudart.so.13 -o libcudart.so.13 cudart.c &&
    cc -shared -fPIC -Wl,-soname,libk.so -o libk.so k.c libcudart.so.13 &&
    cc -Wl,-rpath-link,. -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib' -o serve serve.c libk.so && rm ./*.c &&
    ')" HOLDALL_PACK_PROGRAM R"(' -q -m manifest.json -o bundle.tar.zst >pack.out 2>&1)";
  if (std::system(script.c_str()) != 0) throw std::runtime_error("cannot pack: " + slurp(folder.path("/pack.out")));
  return folder.path("/bundle.tar.zst");
}

// The stand-in of CUDA 13.0 has one device of that compute capability.
Outcome doctor_of(const std::string& bundle, const std::string& stand_in) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.65.06", stand_in);
  return holdall({"doctor", bundle, "--sysroot", host.root()});
}

TEST(Doctor, JudgesTheGpuByTheKernelsThatWerePacked) {
  CapturedHost folder;
  const std::string bundle = pack_bundle(folder, "zstd.fatbin");     // 7.5, 8.0, 9.0a, 10.0f; PTX 9.0 for 9.0
  const Outcome ampere = doctor_of(bundle, STAND_IN_LIBCUDA_WORKS);  // 8.0
  EXPECT_EQ(ampere.status, 0) << ampere.out;
  const Outcome volta = doctor_of(bundle, STAND_IN_LIBCUDA_VOLTA);  // 7.0
  EXPECT_EQ(volta.status, 5);
  EXPECT_THAT(volta.out, HasSubstr("E_SM_NOT_COVERED"));
  EXPECT_THAT(volta.out,
              HasSubstr("one of sm_75 sm_80 sm_90a sm_100f compute_90@9.0: the kernels that lib/libk.so carries"));
}

TEST(Doctor, JudgesPtxByWhatTheDriverKnows) {
  CapturedHost folder;
  const std::string bundle = pack_bundle(folder, "ptx_only.fatbin");  // PTX 9.0 for 8.0
  EXPECT_EQ(doctor_of(bundle, STAND_IN_LIBCUDA_WORKS).status, 0);
  const Outcome old = doctor_of(bundle, STAND_IN_LIBCUDA_12_9);  // 8.0, but its driver knows PTX 8.8 at most
  EXPECT_EQ(old.status, 5);
  EXPECT_THAT(old.out, HasSubstr("E_PTX_TOO_NEW"));
  EXPECT_THAT(old.out, HasSubstr("one of compute_80@9.0: the kernels that lib/libk.so carries"));
}

TEST(Doctor, RefusesACudaBundleWithoutAGpuInUnderASecond) {
  CapturedHost folder, host;
  host.add_machine();
  const std::string bundle = write_bundle(folder, test::cuda_bundle());
  Outcome outcome = holdall({"doctor", bundle, "--sysroot", host.root()});
  for (int again = 0; again < 2 && outcome.time >= std::chrono::seconds(1); ++again)  // a busy machine gets two more
    outcome = holdall({"doctor", bundle, "--sysroot", host.root()});
  EXPECT_LT(outcome.time, std::chrono::seconds(1));
  EXPECT_EQ(outcome.status, 5);
  EXPECT_THAT(outcome.out,
              HasSubstr("E_NO_GPU\n found: no NVIDIA GPU (/sys/bus/pci/devices)\n"
                        " need:  an NVIDIA GPU with driver >=580.65.06: lib/libcudart.so.13: CUDA 13.x needs it\n"
                        " fix:   use a host with an NVIDIA GPU; or run on the CPU with --allow-cpu\n"
                        " CPU fallback: disabled\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nverdict: incompatible\n"));
  EXPECT_EQ(outcome.err, "");
}

TEST(Doctor, TakesTheCpuWhenAllowed) {
  CapturedHost folder, host;
  host.add_machine();
  const Outcome outcome =
      holdall({"doctor", write_bundle(folder, test::cuda_bundle()), "--sysroot", host.root(), "--allow-cpu"});
  EXPECT_EQ(outcome.status, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("E_NO_GPU  warning"));
}

TEST(Doctor, SpeaksJson) {
  CapturedHost folder, host;
  test::make_compatible(host);
  const Outcome outcome =
      holdall({"doctor", write_bundle(folder, test::cuda_bundle()), "--sysroot", host.root(), "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("verdict"), "compatible");
  EXPECT_EQ(json.at("devices").at(0).at("memory_bytes"), std::uint64_t{80} << 30);
  for (const auto& check : json.at("checks"))
    for (const char* key : {"id", "status", "code", "found", "source", "need", "why", "fix"})
      EXPECT_TRUE(check.at(key).is_string()) << check;
}

TEST(Doctor, ReadsNoMoreOfAnArchiveThanItsHead) {
  CapturedHost folder, host;
  host.add_machine();
  const std::string path = write_bundle(folder, test::cuda_bundle());
  const std::vector<std::string> command = {"doctor", path, "--sysroot", host.root()};
  const Outcome small = holdall(command);
  std::filesystem::resize_file(path, std::uint64_t{1} << 30);
  const Outcome large = holdall(command);
  EXPECT_EQ(large.status, 5);
  EXPECT_EQ(large.out, small.out);
  ASSERT_GT(small.bytes_read, 0u);
  EXPECT_LE(large.bytes_read, small.bytes_read + 128 * 1024);
}

TEST(Doctor, JudgesAnUnpackedFolder) {
  CapturedHost folder, host;
  host.add_machine();
  folder.write("/tree/holdall/bundle.json", bundle::to_json(test::cuda_bundle()));
  EXPECT_EQ(holdall({"doctor", folder.path("/tree"), "--sysroot", host.root()}).status, 5);
}

TEST(Doctor, ExitsWithSixWhenOnlyTheDiskIsAtFault) {
  CapturedHost folder;
  bundle::BundleInfo info = test::cpu_bundle();
  info.requires_host.glibc.reset();
  info.requires_host.cpu_level = 1;
  info.requires_host.disk_bytes = std::uint64_t{1} << 60;
  const Outcome outcome = holdall({"doctor", write_bundle(folder, info), "--root", folder.path("/stores")});
  EXPECT_EQ(outcome.status, 6) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("E_DISK"));
  EXPECT_FALSE(std::filesystem::exists(folder.path("/stores")));
}

TEST(Doctor, ExitsWithZeroAndSaysSoWhenTheVerdictIsUnknown) {
  CapturedHost folder, host;
  const Outcome outcome = holdall({"doctor", write_bundle(folder, test::cpu_bundle()), "--sysroot", host.root()});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("verdict: unknown: could not be checked: cpu, glibc\n"));
}

TEST(Doctor, JudgesTheHostAlone) {
  CapturedHost host;
  host.add_machine();
  host.add_gpu("nouveau");
  const Outcome outcome = holdall({"doctor", "--sysroot", host.root()});
  EXPECT_EQ(outcome.status, 5);
  EXPECT_THAT(outcome.out, HasSubstr("E_NOUVEAU"));
}

TEST(Doctor, RefusesBrokenInputByItsKind) {
  CapturedHost folder;
  folder.write("/garbage", std::string(100'000, '\x5a'));
  EXPECT_EQ(holdall({"doctor", folder.path("/garbage")}).status, 3);
  EXPECT_EQ(holdall({"doctor", folder.path("/absent")}).status, 7);
  EXPECT_EQ(holdall({"doctor", "--sysroot", folder.path("/absent")}).status, 7);
  EXPECT_EQ(holdall({"doctor", "--no-such-option"}).status, 2);
  const Outcome outcome = holdall({"doctor", folder.path("/absent")});
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("/absent"));
}

}  // namespace
}  // namespace holdall::launcher
