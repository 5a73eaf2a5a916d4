#include "launcher/service_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <utility>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

constexpr int kFirstSocket = 3;  // sd_listen_fds(3): SD_LISTEN_FDS_START

// Everything that the child needs, made before the fork: afterwards only async-signal-safe calls are allowed.
struct Prepared {
  std::vector<std::string> environment_text;
  std::vector<char*> arguments, environment;
  char* listen_pid = nullptr;    // where the child writes its pid
  std::vector<int> descriptors;  // become 3, 4, 5, …
  const char* working_folder = nullptr;
  pid_t parent = -1;
  int report = -1;  // errno of a failed step goes here; closed by a successful exec
};

Prepared prepare(const ServiceStart& start, const std::string& notify_address) {
  Prepared result;
  result.environment_text.reserve(start.environment.size() + 4);
  for (const auto& [name, value] : start.environment) result.environment_text.push_back(name + "=" + value);
  result.environment_text.push_back("NOTIFY_SOCKET=" + notify_address);
  result.environment_text.push_back("LISTEN_FDS=2");
  result.environment_text.push_back("LISTEN_FDNAMES=http:health");
  result.environment_text.push_back("LISTEN_PID=" + std::string(12, '\0'));
  result.listen_pid = result.environment_text.back().data() + std::strlen("LISTEN_PID=");
  for (auto& text : result.environment_text) result.environment.push_back(text.data());
  for (const auto& text : start.arguments) result.arguments.push_back(const_cast<char*>(text.c_str()));
  result.environment.push_back(nullptr);
  result.arguments.push_back(nullptr);
  result.descriptors = {start.http, start.health};
  result.descriptors.insert(result.descriptors.end(), start.kept_open.begin(), start.kept_open.end());
  result.working_folder = start.working_folder.c_str();
  result.parent = ::getpid();
  return result;
}

[[noreturn]] void give_up(const Prepared& prepared, int error) {
  (void)!::write(prepared.report, &error, sizeof error);
  ::_exit(127);
}

// Descriptors 3… become those of the service; everything above is closed, the report at exec.
void arrange_descriptors(Prepared& prepared) {
  const int above = kFirstSocket + static_cast<int>(prepared.descriptors.size());
  prepared.report = ::fcntl(prepared.report, F_DUPFD_CLOEXEC, above);
  if (prepared.report < 0) ::_exit(127);
  for (int& fd : prepared.descriptors)
    if ((fd = ::fcntl(fd, F_DUPFD_CLOEXEC, above)) < 0) give_up(prepared, errno);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) give_up(prepared, errno);
  for (std::size_t i = 0; i < prepared.descriptors.size(); ++i)
    if (::dup2(prepared.descriptors[i], kFirstSocket + static_cast<int>(i)) < 0) give_up(prepared, errno);
  // What the launcher itself inherited without asking must not stay open in the service. close_range(2) with
  // CLOSE_RANGE_CLOEXEC (4) came with Linux 5.11; before, descriptor by descriptor.
  constexpr unsigned kCloseOnExec = 4;
  if (::syscall(SYS_close_range, above, ~0u, kCloseOnExec) != 0)
    for (int fd = above; fd < 4096; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

[[noreturn]] void become_service(Prepared& prepared) {
  arrange_descriptors(prepared);
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    give_up(prepared, errno);
  if (::getppid() != prepared.parent) ::_exit(127);  // it died before the signal was asked for
  for (int number = 1; number < NSIG; ++number)
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::to_chars(prepared.listen_pid, prepared.listen_pid + 12, ::getpid());
  if (::chdir(prepared.working_folder) != 0) give_up(prepared, errno);
  ::execve(prepared.arguments.front(), prepared.arguments.data(), prepared.environment.data());
  give_up(prepared, errno);
}

}  // namespace

std::string describe_exit(int wait_status) {
  if (WIFEXITED(wait_status)) return "exited with status " + std::to_string(WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  return "was killed by signal " + std::to_string(number) + " (" + ::strsignal(number) + ")";
}

ServiceProcess::ServiceProcess(const ServiceStart& start) {
  Prepared prepared = prepare(start, notify_.address());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw bundle::system_error(errno, "open", "pipe");
  const bundle::FileDescriptor reading(ends[0]);
  bundle::FileDescriptor writing(ends[1]);
  prepared.report = writing.get();

  pid_ = ::fork();
  if (pid_ < 0) throw bundle::system_error(errno, "start", start.arguments.front());
  if (pid_ == 0) become_service(prepared);
  ::setpgid(pid_, pid_);  // whoever comes first, so that kill() reaches the group at once
  writing.reset();

  int error = 0;
  ssize_t size = 0;
  while ((size = ::read(reading.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (size == 0) return;
  ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  throw bundle::system_error(size == sizeof error ? error : EIO, "start", start.arguments.front());
}

ServiceProcess::ServiceProcess(ServiceProcess&& other) noexcept
    : notify_(std::move(other.notify_)), pid_(std::exchange(other.pid_, -1)) {}

ServiceProcess& ServiceProcess::operator=(ServiceProcess&& other) noexcept {
  std::swap(notify_, other.notify_);
  std::swap(pid_, other.pid_);
  return *this;
}

ServiceProcess::~ServiceProcess() {
  if (pid_ < 0) return;
  kill();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ServiceProcess::terminate() const {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

void ServiceProcess::kill() const {
  if (pid_ > 0) ::kill(-pid_, SIGKILL);
}

std::optional<int> ServiceProcess::reap() {
  if (pid_ < 0) return std::nullopt;
  siginfo_t info{};
  // Looks first and leaves the dead leader in place: its number stays the group's until the rest is killed.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
    return std::nullopt;
  kill();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

}  // namespace holdall::launcher
