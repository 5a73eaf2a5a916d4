#include "launcher/doctor/probe_process.h"

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

Child start(const bundle::FileDescriptor& program, const std::string& mode, const ProbeOptions& options) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : options.environment)
    if (name != "LD_LIBRARY_PATH" && name != "LD_PRELOAD" && name != "LD_AUDIT")
      environment.push_back(name + "=" + value);
  std::vector<char*> variables;
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  std::string name = "holdall-probe", asked = mode, library = options.library;
  char* arguments[] = {name.data(), asked.data(), library.data(), nullptr};

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

// Lines of ours only: a driver may print what it likes.
bool parse(const std::string& output, const std::function<void(const nlohmann::json&)>& line) {
  bool any = false;
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    const auto json = nlohmann::json::parse(output.substr(at, end - at), nullptr, false);
    at = end + 1;
    try {
      if (!json.is_object() || !json.contains("event")) continue;
      line(json);
      any = true;
    } catch (const nlohmann::json::exception&) {  // a field of another type
    }
  }
  return any;
}

ProbeRun watch(Child child, std::chrono::milliseconds timeout, const std::function<void(const nlohmann::json&)>& line) {
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
  const bool said_anything = parse(output, line);
  if (late) return {ProbeRun::End::kTimedOut, {}};
  if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return {ProbeRun::End::kFinished, {}};
  if (!said_anything) {  // its loader refused, before the first line
    complaint.erase(std::min(complaint.find('\n'), complaint.size()));
    return {ProbeRun::End::kNotRun, "holdall-probe did not start: " + (complaint.empty() ? "no message" : complaint)};
  }
  return {ProbeRun::End::kCrashed, WIFSIGNALED(*status) ? "signal " + std::to_string(WTERMSIG(*status))
                                                        : "exit status " + std::to_string(WEXITSTATUS(*status))};
}

}  // namespace

ProbeRun run_probe(const std::string& mode, const ProbeOptions& options,
                   const std::function<void(const nlohmann::json&)>& line) {
  std::string tried;
  const auto attempt = [&](const bundle::FileDescriptor& program, const std::string& place,
                           int open_error) -> std::optional<ProbeRun> {
    Child child;
    child.error = open_error;
    if (program) child = start(program, mode, options);
    if (child.pid > 0) return watch(std::move(child), options.timeout, line);
    tried += (tried.empty() ? "" : ", ") + place + ": " + std::strerror(child.error);
    return std::nullopt;
  };
  if (options.memory == ProbeOptions::Memory::kUse) {
    const bundle::FileDescriptor program = program_in_memory();
    const int error = errno;
    if (const auto run = attempt(program, "memory", error)) return *run;
  }
  for (const std::string& folder : options.folders) {
    if (folder.empty()) continue;
    const bundle::FileDescriptor program = program_in_folder(folder);
    const int error = errno;
    if (const auto run = attempt(program, folder, error)) return *run;
  }
  return {ProbeRun::End::kNotRun, "holdall-probe may not be executed here (" + tried + ")"};
}

}  // namespace holdall::launcher
