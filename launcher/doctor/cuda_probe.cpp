#include "launcher/doctor/cuda_probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bundle/file_descriptor.h"
#include "launcher/embedded.h"

namespace holdall::launcher {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMaxOutput = 1u << 20;
constexpr std::size_t kMaxComplaint = 4096;
#ifndef MFD_EXEC
constexpr unsigned MFD_EXEC = 0x10;  // Linux 6.3: asked for by name where vm.memfd_noexec is set
#endif

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bundle::FileDescriptor program_in_memory() {
  bundle::FileDescriptor program(::memfd_create("holdall-probe", MFD_CLOEXEC | MFD_EXEC));
  if (!program && errno == EINVAL) program.reset(::memfd_create("holdall-probe", MFD_CLOEXEC));
  if (program && !write_all(program.get(), embedded_probe())) program.reset();
  return program;
}

// Written, opened for reading and unlinked at once: nothing is left behind however this process ends.
bundle::FileDescriptor program_in_folder(const std::string& folder) {
  std::string path = folder + "/.holdall-probe.XXXXXX";
  bundle::FileDescriptor writer(::mkostemp(path.data(), O_CLOEXEC));
  if (!writer) return {};
  const bool written = write_all(writer.get(), embedded_probe()) && ::fchmod(writer.get(), 0700) == 0;
  writer.reset();
  bundle::FileDescriptor program(written ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC) : -1);
  ::unlink(path.c_str());
  return program;
}

struct Pipe {
  bundle::FileDescriptor read, write;
};

std::optional<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{bundle::FileDescriptor(ends[0]), bundle::FileDescriptor(ends[1])};
}

struct Child {
  pid_t pid = -1;
  bundle::FileDescriptor output, complaint;
  int error = 0;  // errno of fork or exec
};

[[noreturn]] void become_probe(int program, const Pipe& output, const Pipe& complaint, const Pipe& failure,
                               char** arguments, char** environment) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, 0);
  ::dup2(output.write.get(), 1);
  ::dup2(complaint.write.get(), 2);
  ::fexecve(program, arguments, environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(failure.write.get(), &error, sizeof error);
  ::_exit(127);
}

Child start(const bundle::FileDescriptor& program, const ProbeOptions& options) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : options.environment)
    if (name != "LD_LIBRARY_PATH" && name != "LD_PRELOAD" && name != "LD_AUDIT")
      environment.push_back(name + "=" + value);
  std::vector<char*> variables;
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  std::string name = "holdall-probe", libcuda = options.libcuda;
  char* arguments[] = {name.data(), libcuda.data(), nullptr};

  Child child;
  auto output = make_pipe(), complaint = make_pipe(), failure = make_pipe();
  if (!output || !complaint || !failure) {
    child.error = errno;
    return child;
  }
  child.pid = ::fork();
  if (child.pid == 0) become_probe(program.get(), *output, *complaint, *failure, arguments, variables.data());
  child.error = child.pid < 0 ? errno : 0;
  failure->write.reset();
  if (child.pid < 0) return child;
  ::setpgid(child.pid, child.pid);
  // The write end closes with a successful exec; otherwise the child says why.
  while (::read(failure->read.get(), &child.error, sizeof child.error) < 0 && errno == EINTR) {
  }
  if (child.error != 0) {
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    child.pid = -1;
  }
  child.output = std::move(output->read);
  child.complaint = std::move(complaint->read);
  return child;
}

void take(bundle::FileDescriptor& from, std::string& into, std::size_t limit) {
  char buffer[4096];
  const ssize_t n = ::read(from.get(), buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return;
  if (n <= 0) return from.reset();
  into.append(buffer, std::min(static_cast<std::size_t>(n), limit - std::min(limit, into.size())));
}

// nullopt: still there.
std::optional<int> ended(pid_t pid) {
  int status = 0;
  const pid_t answer = ::waitpid(pid, &status, WNOHANG);
  if (answer == pid) return status;
  return answer < 0 && errno != EINTR ? std::optional<int>(0) : std::nullopt;
}

void parse_line(const std::string& line, ProbeResult& result) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) return;  // a driver may print what it likes
  const std::string event = json.value("event", "");
  if (event == "loading") result.stage = "loading libcuda";
  if (event == "loaded") result.stage = "cuDriverGetVersion";
  if (event == "init") result.stage = "cuInit";
  if (event == "initialised") result.stage = "listing the devices";
  if (event == "load_failed") result.load_error = json.value("message", "");
  if (event == "version" && json.value("result", -1) == 0) result.cuda_version = json.value("version", 0);
  if (event == "failed" && result.failed_call.empty()) {
    result.failed_call = json.value("call", "");
    result.failed_result = json.value("result", -1);
  }
  if (event == "device")
    result.devices.push_back({json.value("index", 0), json.value("name", ""), json.value("uuid", ""),
                              json.value("capability", ""), json.value("memory_bytes", std::uint64_t{0})});
}

void parse_output(const std::string& output, ProbeResult& result) {
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    try {
      parse_line(output.substr(at, end - at), result);
    } catch (const nlohmann::json::exception&) {  // a field of another type: not a line of ours
    }
    at = end + 1;
  }
}

void watch(Child child, std::chrono::milliseconds timeout, ProbeResult& result) {
  const Clock::time_point deadline = Clock::now() + timeout;
  std::string output, complaint;
  std::optional<int> status;
  // Until it has ended and nothing more is to be read. What the driver itself started may keep the pipes open.
  while (Clock::now() < deadline && (!status || child.output || child.complaint)) {
    pollfd files[] = {{child.output.get(), POLLIN, 0}, {child.complaint.get(), POLLIN, 0}};
    const int ready = ::poll(files, 2, status ? 0 : 5);
    if (files[0].revents != 0) take(child.output, output, kMaxOutput);
    if (files[1].revents != 0) take(child.complaint, complaint, kMaxComplaint);
    if (status && ready == 0) break;
    if (!status) status = ended(child.pid);
  }
  const bool late = !status;
  ::kill(-child.pid, SIGKILL);  // and what the driver started
  // A process that the kernel cannot kill, stuck in the driver, is left to init.
  const Clock::time_point patience = Clock::now() + std::chrono::seconds(1);
  while (!status && Clock::now() < patience) {
    ::poll(nullptr, 0, 1);
    status = ended(child.pid);
  }
  parse_output(output, result);
  if (late) {
    result.end = ProbeResult::End::kTimedOut;
  } else if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0) {
    result.end = ProbeResult::End::kFinished;
  } else if (result.stage.empty()) {  // its loader refused, before the first line
    complaint.erase(std::min(complaint.find('\n'), complaint.size()));
    result.detail = "holdall-probe did not start: " + (complaint.empty() ? "no message" : complaint);
  } else {
    result.end = ProbeResult::End::kCrashed;
    result.detail = WIFSIGNALED(*status) ? "signal " + std::to_string(WTERMSIG(*status))
                                         : "exit status " + std::to_string(WEXITSTATUS(*status));
  }
}

}  // namespace

ProbeResult run_probe(const ProbeOptions& options) {
  ProbeResult result;
  std::string tried;
  const auto attempt = [&](const bundle::FileDescriptor& program, const std::string& place, int open_error) {
    Child child;
    child.error = open_error;
    if (program) child = start(program, options);
    if (child.pid > 0) {
      watch(std::move(child), options.timeout, result);
      return true;
    }
    tried += (tried.empty() ? "" : ", ") + place + ": " + std::strerror(child.error);
    return false;
  };
  if (options.memory == ProbeOptions::Memory::kUse) {
    const bundle::FileDescriptor program = program_in_memory();
    const int error = errno;
    if (attempt(program, "memory", error)) return result;
  }
  for (const std::string& folder : options.folders) {
    if (folder.empty()) continue;
    const bundle::FileDescriptor program = program_in_folder(folder);
    const int error = errno;
    if (attempt(program, folder, error)) return result;
  }
  result.detail = "holdall-probe may not be executed here (" + tried + ")";
  return result;
}

}  // namespace holdall::launcher
