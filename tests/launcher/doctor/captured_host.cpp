#include "captured_host.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace holdall::test {

namespace fs = std::filesystem;

namespace {

constexpr int kCannotPrepare = 77;

// Runs `prepare` and `text` in a child; nullopt if `prepare` failed.
std::optional<std::string> in_child(const std::function<bool()>& prepare, const std::function<std::string()>& text) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    if (!prepare()) ::_exit(kCannotPrepare);
    const std::string said = text();
    ::_exit(::write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotPrepare) return std::nullopt;
  if (status != 0) throw std::runtime_error("the child failed");
  return said;
}

}  // namespace

CapturedHost::CapturedHost() {
  std::string name = (fs::temp_directory_path() / "captured-host.XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make '" + name + "'");
  fs::permissions(name, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
  root_ = fs::canonical(name).string();
}

CapturedHost::~CapturedHost() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

void CapturedHost::write(const std::string& host_path, const std::string& text) {
  fs::create_directories(fs::path(path(host_path)).parent_path());
  std::ofstream file(path(host_path), std::ios::binary);
  if (!(file << text)) throw std::runtime_error("cannot write '" + path(host_path) + "'");
}

void CapturedHost::link(const std::string& host_path, const std::string& target) {
  fs::create_directories(fs::path(path(host_path)).parent_path());
  fs::create_symlink(target, path(host_path));
}

void CapturedHost::copy(const std::string& file, const std::string& host_path) {
  fs::create_directories(fs::path(path(host_path)).parent_path());
  fs::copy_file(file, path(host_path), fs::copy_options::overwrite_existing);
}

void CapturedHost::remove(const std::string& host_path) {
  fs::remove_all(path(host_path));
}

void CapturedHost::add_machine() {
  write("/proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Stand-in\nflags\t\t: fpu cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 "
        "bmi1 "
        "bmi2 f16c fma abm movbe xsave\nbugs\t\t:\n");
  write("/proc/meminfo", "MemTotal:       67108864 kB\nMemFree:  1 kB\nMemAvailable:   66060288 kB\n");
  copy(STAND_IN_LIBC_BANNER, "/usr/lib/x86_64-linux-gnu/libc.so.6");
  link("/lib", "usr/lib");
}

void CapturedHost::add_gpu(const std::string& driver) {
  const std::string device = "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0";
  write(device + "/vendor", "0x10de\n");
  write(device + "/class", "0x030200\n");
  if (!driver.empty()) link(device + "/driver", "../../../../bus/pci/drivers/" + driver);
  link("/sys/bus/pci/devices/0000:01:00.0", "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
  const std::string sound = "/sys/bus/pci/devices/0000:01:00.1";
  write(sound + "/vendor", "0x10de\n");
  write(sound + "/class", "0x040300\n");
  if (driver == "nouveau") write("/sys/module/nouveau/refcnt", "1\n");
}

void CapturedHost::add_driver(const std::string& version, const std::string& stand_in) {
  write("/sys/module/nvidia/version", version + "\n");
  write("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  " + version +
                                           "  Wed Jan  1 00:00:00 UTC 2025\nGCC version:  gcc version 12.2.0\n");
  write("/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA Stand-in\nIRQ:   \t\t 1\n");
  for (const char* node : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0"}) write(node, "");
  copy(stand_in, "/usr/lib/x86_64-linux-gnu/libcuda.so." + version);
  link("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "libcuda.so." + version);
}

void make_compatible(CapturedHost& host) {
  host.add_machine();
  host.add_gpu("nvidia");
  host.add_driver("580.65.06", STAND_IN_LIBCUDA_WORKS);
}

bundle::BundleInfo cpu_bundle() {
  bundle::BundleInfo info;
  info.tool_version = "test";
  info.name = "edit";
  info.version = "1.0.0";
  info.requires_host.arch = "x86_64";
  info.requires_host.cpu_level = 2;
  info.requires_host.glibc = bundle::Floor{"2.34", "bin/worker", ""};
  return info;
}

bundle::BundleInfo cuda_bundle() {
  bundle::BundleInfo info = cpu_bundle();
  bundle::CudaRequirement cuda;
  cuda.major = 13;
  cuda.driver = {"580.65.06", "lib/libcudart.so.13", "CUDA 13.x needs it"};
  cuda.coverage["lib/libtorch_cuda.so"] = {{"80", "90"}, {}};
  info.requires_host.cuda = cuda;
  return info;
}

launcher::DoctorOptions options_for(const CapturedHost& host) {
  launcher::DoctorOptions options;
  options.sysroot = host.root();
  options.environment.emplace();
  return options;
}

const launcher::Check* find_check(const launcher::Diagnosis& diagnosis, const std::string& id) {
  for (const launcher::Check& check : diagnosis.checks)
    if (check.id == id) return &check;
  return nullptr;
}

std::string failing_codes(const launcher::Diagnosis& diagnosis) {
  std::string codes;
  for (const launcher::Check& check : diagnosis.checks)
    if (check.status == launcher::Status::kFail) codes += (codes.empty() ? "" : " ") + check.code;
  return codes;
}

std::string as_nobody(const std::function<std::string()>& text) {
  const auto said = in_child([] { return ::getuid() != 0 || (::setgid(65534) == 0 && ::setuid(65534) == 0); }, text);
  if (!said) throw std::runtime_error("cannot become nobody");
  return *said;
}

std::optional<std::string> with_noexec(const std::string& folder, const std::function<std::string()>& text) {
  return in_child(
      [&] {
        return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
               ::mount("none", folder.c_str(), "tmpfs", MS_NOEXEC, "size=1m") == 0;
      },
      text);
}

}  // namespace holdall::test
