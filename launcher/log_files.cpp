#include "launcher/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <set>

#include "bundle/error.h"
#include "launcher/disk.h"
#include "launcher/generations.h"

namespace holdall::launcher {
namespace {

constexpr const char* kNewest = "logs/service.log";

std::string older_name(unsigned number) {
  return kNewest + ("." + std::to_string(number));
}

// 0: there is none.
ino_t inode_of(int store, const char* name) {
  struct stat status {};
  return ::fstatat(store, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

// The child's whole life. Nothing of the launcher may stay open in it: sockets, locks and leases would seem held.
[[noreturn]] void write_log(int store, const LogLimits& limits, int pipe) {
  try {
    constexpr int kStore = 3;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    const int kept = ::fcntl(store, F_DUPFD_CLOEXEC, kStore);
    if (null < 0 || kept < 0 || ::dup2(pipe, STDIN_FILENO) < 0 || ::dup2(null, STDOUT_FILENO) < 0 ||
        ::dup2(null, STDERR_FILENO) < 0 || (kept != kStore && ::dup2(kept, kStore) < 0))
      ::_exit(1);
    // close_range(2) came with Linux 5.9.
    if (::syscall(SYS_close_range, kStore + 1, ~0u, 0) != 0)
      for (int fd = kStore + 1; fd < 4096; ++fd) ::close(fd);
    LogFile log(kStore, limits);
    std::array<char, 64 * 1024> block{};
    while (true) {
      const ssize_t size = ::read(STDIN_FILENO, block.data(), block.size());
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) ::_exit(0);
      log.append({block.data(), static_cast<std::size_t>(size)});
    }
  } catch (...) {
    ::_exit(1);
  }
}

}  // namespace

LogFile::LogFile(int store, const LogLimits& limits) : store_(store), limits_(limits) {
  if (::mkdirat(store_, "logs", 0700) != 0 && errno != EEXIST) throw bundle::system_error(errno, "make", "logs");
  open();
  if (!file_) throw bundle::system_error(errno, "open", kNewest);
}

void LogFile::open() {
  file_.reset(::openat(store_, kNewest, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat status {};
  size_ = file_ && ::fstat(file_.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

void LogFile::rotate() {
  struct stat status {};
  if (::fstat(file_.get(), &status) == 0 && status.st_ino == inode_of(store_, kNewest)) {
    std::string to = older_name(limits_.older);
    for (unsigned number = limits_.older; number > 0; --number) {
      const std::string from = number == 1 ? kNewest : older_name(number - 1);
      (void)::renameat(store_, from.c_str(), store_, to.c_str());
      to = from;
    }
    if (limits_.older == 0) (void)::unlinkat(store_, kNewest, 0);
  }
  line_begun_ = false;
  open();
}

void LogFile::append(std::string_view text) noexcept try {
  while (!text.empty()) {
    if (!file_) open();
    if (!file_) return;
    const std::uint64_t room = limits_.bytes > size_ ? limits_.bytes - size_ : 0;
    std::string_view now = text;
    const bool too_much = text.size() > room;
    if (too_much) {
      // Up to the end of the last line that has room or, if none has, of the one that is begun.
      std::size_t end = room > 0 ? text.rfind('\n', static_cast<std::size_t>(room) - 1) : std::string_view::npos;
      if (end == std::string_view::npos && !line_begun_ && size_ > 0) {
        const std::uint64_t before = size_;
        rotate();
        if (size_ < before) continue;  // else it could not be put aside, and goes on growing
      }
      if (end == std::string_view::npos) end = text.find('\n');
      now = text.substr(0, end == std::string_view::npos ? end : end + 1);
    }
    const ssize_t written = ::write(file_.get(), now.data(), now.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    size_ += static_cast<std::uint64_t>(written);
    text.remove_prefix(static_cast<std::size_t>(written));
    line_begun_ = now[static_cast<std::size_t>(written) - 1] != '\n';
    // One that has no end must not grow for ever either.
    if (line_begun_ && size_ >= 2 * limits_.bytes) rotate();
  }
} catch (...) {  // out of memory
}

LogWriter::LogWriter(int store, const LogLimits& limits) : store_(store), limits_(limits) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw bundle::system_error(errno, "open", "pipe");
  reading_.reset(ends[0]);
  writing_.reset(ends[1]);
  const LogFile probe(store, limits);  // a folder that cannot be written to is told of here
  start();
}

void LogWriter::start() {
  pid_ = ::fork();
  if (pid_ < 0) throw bundle::system_error(errno, "start", "the log's writer");
  if (pid_ == 0) write_log(store_, limits_, reading_.get());
}

void LogWriter::tend() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0) return;
  try {
    start();
  } catch (const bundle::Error&) {  // no process to be had: the next SIGCHLD tries again
    pid_ = -1;
  }
}

std::vector<LogPart> open_log(int store) {
  std::set<std::uint64_t> numbers;
  for (const std::string& name : names_in({store, "logs"}))
    if (const auto number = parse_number(name, "service.log.")) numbers.insert(*number);
  std::vector<LogPart> parts;
  const auto add = [&](const std::string& name) {
    LogPart part{bundle::FileDescriptor(::openat(store, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC))};
    struct stat status {};
    if (!part.file || ::fstat(part.file.get(), &status) != 0) return;
    part.inode = status.st_ino;
    // Newest first, so that a file which takes its next name meanwhile is met twice rather than missed.
    if (parts.empty() || parts.back().inode != part.inode) parts.push_back(std::move(part));
  };
  add(kNewest);
  for (const std::uint64_t number : numbers) add("logs/service.log." + std::to_string(number));
  return parts;
}

}  // namespace holdall::launcher
