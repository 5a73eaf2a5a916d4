// logs/service.log and its older parts service.log.1, service.log.2, …: written by one process, read while it is.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

struct LogLimits {
  std::uint64_t bytes = std::uint64_t{16} << 20;  // of one file; a line that is begun is ended in it
  unsigned older = 4;                             // parts kept beside the newest
};

// Appends to service.log in the folder of a store, and begins a new one when it has grown to its limit. Another writer
// of the same files is borne with: whoever finds that the name belongs to another file goes on in that one.
class LogFile {
 public:
  // Makes logs/ (0700) and service.log (0600). Throws Error. `store` is borrowed.
  LogFile(int store, const LogLimits& limits);

  // What cannot be written (no space) is lost: a service never waits for its log.
  void append(std::string_view text) noexcept;

 private:
  void open();
  void rotate();

  const int store_;
  const LogLimits limits_;
  bundle::FileDescriptor file_;
  std::uint64_t size_ = 0;
  bool line_begun_ = false;
};

// A process that writes what comes through a pipe to the log. It outlives the launcher, as long as anybody can still
// write to the pipe, and is started again if it is killed: a service must neither lose its output nor wait for it.
class LogWriter {
 public:
  // Throws Error. `store` is borrowed.
  LogWriter(int store, const LogLimits& limits);

  int pipe() const { return writing_.get(); }
  // Starts it again if it has ended; to be called after SIGCHLD.
  void tend();

 private:
  void start();

  const int store_;
  const LogLimits limits_;
  bundle::FileDescriptor reading_,
      writing_;  // both are held, so that writers meet a full pipe at worst, never a closed one
  pid_t pid_ = -1;
};

struct LogPart {
  bundle::FileDescriptor file;
  ino_t inode = 0;
};

// The files of the log, newest first; none: there is no log. `store` is borrowed.
std::vector<LogPart> open_log(int store);

}  // namespace holdall::launcher
