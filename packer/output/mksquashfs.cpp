#include "packer/output/mksquashfs.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "bundle/error.h"
#include "bundle/file_descriptor.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using bundle::system_error;

constexpr const char* kProgram = "mksquashfs";
constexpr int kFirstMajor = 4, kFirstMinor = 5;  // that has -tar
constexpr int kOutput = 3;                       // descriptor of the output in the child
constexpr int kXzLevel = 9;
constexpr int kPollMilliseconds = 100;

// mksquashfs refuses its options for times beside this variable.
std::vector<char*> environment() {
  std::vector<char*> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("SOURCE_DATE_EPOCH=")) kept.push_back(*variable);
  }
  kept.push_back(nullptr);
  return kept;
}

// A run of mksquashfs; what it prints is kept. It inherits the signal mask: where SIGINT is blocked here it does not
// see a terminal's Ctrl-C, and it ends when this object does.
class Process {
 public:
  // `output`: -1 or a descriptor that the program gets as kOutput.
  Process(std::vector<std::string> arguments, int input, int output) : said_(::memfd_create(kProgram, MFD_CLOEXEC)) {
    if (!said_) throw system_error(errno, "keep what is printed by", kProgram);
    std::vector<char*> argv{const_cast<char*>(kProgram)};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, said_.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, said_.get(), STDERR_FILENO);
    if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, output, kOutput);
    const std::vector<char*> variables = environment();
    const int error = ::posix_spawnp(&child_, kProgram, &actions, nullptr, argv.data(), variables.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (error == ENOENT) {
      throw Error(ErrorKind::kNotFound,
                  "format 'squashfs' needs the program mksquashfs, and PATH has none: install squashfs-tools");
    }
    if (error != 0) throw system_error(error, "run", kProgram);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  // Waits for its end, calling `check` meanwhile. Empty if it succeeded, else why it did not.
  std::string wait(const std::function<void()>& check) {
    const FileDescriptor watched(static_cast<int>(::syscall(SYS_pidfd_open, child_, 0)));
    if (!watched) throw system_error(errno, "watch", kProgram);
    for (pollfd end{watched.get(), POLLIN, 0}; ::poll(&end, 1, kPollMilliseconds) == 0;) {
      if (check) check();
    }
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    if (WIFSIGNALED(status)) return "mksquashfs was killed by signal " + std::to_string(WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? "" : "mksquashfs failed: " + said();
  }

  // The beginning of what it printed, as one line.
  std::string said() const {
    std::array<char, 2000> text{};
    const ssize_t size = ::pread(said_.get(), text.data(), text.size(), 0);
    std::string line(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    while (!line.empty() && line.back() == '\n') line.pop_back();
    for (std::size_t at = 0; (at = line.find('\n', at)) != std::string::npos;) line.replace(at, 1, "; ");
    return line;
  }

 private:
  const FileDescriptor said_;
  pid_t child_ = -1;
};

std::vector<std::string> compression(int level) {
  if (level == 0) return {"-noI", "-noD", "-noF", "-noX"};
  if (level == kXzLevel) return {"-comp", "xz"};
  return {"-comp", "zstd", "-Xcompression-level", std::to_string(level * 20 / 8), "-b", "256K"};
}

std::vector<std::string> arguments_for(const SquashfsOptions& options) {
  const std::string time = std::to_string(options.mtime);
  std::vector<std::string> arguments{
      "-", "/proc/self/fd/" + std::to_string(kOutput), "-tar", "-noappend", "-quiet", "-no-progress", "-no-xattrs",
      // The root folder is no member. Its time is the hour of the run, whatever -root-time
      // says (4.5.1), but for -all-time.
      "-all-time", time, "-mkfs-time", time, "-root-mode", "755", "-root-uid", "0", "-root-gid", "0", "-processors",
      std::to_string(options.stream.threads), "-mem", std::to_string(64 * options.stream.threads) + "M"};
  for (std::string& argument : compression(options.stream.level)) arguments.push_back(std::move(argument));
  return arguments;
}

struct SocketPair {
  int ours = -1, theirs = -1;
};

SocketPair make_sockets() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw system_error(errno, "make a socket for", kProgram);
  return {ends[0], ends[1]};
}

class SquashfsStream final : public ByteStream {
 public:
  SquashfsStream(int descriptor, const SquashfsOptions& options)
      : SquashfsStream(descriptor, options, make_sockets()) {}

  // A socket and not a pipe: a write to a pipe that nobody reads raises SIGPIPE.
  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(tar_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) {
        require_success();
        throw Error(ErrorKind::kStorage, "cannot write '" + name_ + "': mksquashfs did not read all");
      }
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }

  void finish() override { require_success(); }

 private:
  SquashfsStream(int descriptor, const SquashfsOptions& options, SocketPair sockets)
      : name_(options.name),
        check_(options.stream.check),
        tar_(sockets.ours),
        tar_end_(sockets.theirs),
        process_(arguments_for(options), tar_end_.get(), descriptor) {
    tar_end_.reset();
  }

  // Ends the tar and waits for mksquashfs.
  void require_success() {
    tar_.reset();
    if (const std::string fault = process_.wait(check_); !fault.empty())
      throw Error(ErrorKind::kStorage, "cannot write '" + name_ + "': " + fault);
  }

  const std::string name_;
  const std::function<void()> check_;
  FileDescriptor tar_, tar_end_;
  Process process_;  // last: it is killed before its input ends, which it would take for the tar's
};

}  // namespace

std::string mksquashfs_version() {
  const FileDescriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Process process({"-version"}, nothing.get(), -1);
  process.wait({});
  const std::string said = process.said();
  int major = 0, minor = 0;
  if (std::sscanf(said.c_str(), "mksquashfs version %d.%d", &major, &minor) != 2)
    throw Error(ErrorKind::kNotFound, "format 'squashfs' needs mksquashfs: the one in PATH does not tell its version");
  constexpr std::string_view kBefore = "mksquashfs version ";
  std::string version = said.substr(kBefore.size(), said.find_first_of(" ;", kBefore.size()) - kBefore.size());
  if (major < kFirstMajor || (major == kFirstMajor && minor < kFirstMinor)) {
    throw Error(ErrorKind::kNotFound, "format 'squashfs' needs mksquashfs 4.5, which reads a tar, and finds " +
                                          version + " in PATH: install a newer squashfs-tools");
  }
  return version;
}

std::unique_ptr<ByteStream> squashfs_stream(int descriptor, const SquashfsOptions& options) {
  return std::make_unique<SquashfsStream>(descriptor, options);
}

}  // namespace holdall::packer
