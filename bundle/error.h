// The one exception type of bundle, packer and launcher, and the exit codes that every program shares.
#pragma once

#include <stdexcept>
#include <string>

namespace holdall::bundle {

// A kind exists because a caller branches on it: each is one exit code of the programs.
enum class ErrorKind {
  kInternal = 1,       // a bug of ours, or a system call that should not fail
  kUsage = 2,          // wrong command line
  kBadBundle = 3,      // bad or corrupt bundle
  kTrust = 4,          // signature or trust
  kIncompatible = 5,   // this host cannot run the bundle
  kStorage = 6,        // no space, no permission, noexec, NFS, path too long, EIO
  kNotFound = 7,       // file, release or URL not found
  kBusy = 8,           // another holdall holds the lock
  kNotReady = 9,       // the service failed to become ready
  kNetwork = 10,       // the network failed, after retries
  kCannotPack = 11,    // the input cannot be packed as it is
  kInterrupted = 130,  // SIGINT or SIGTERM
};

class Error : public std::runtime_error {
 public:
  // `message`: lower case, no full stop, subject quoted, cause after a colon, then what to do if known.
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

// The kind that fits a failed system call on a file: ENOENT is kNotFound; ENOSPC, EACCES, EROFS, EIO and their
// like are kStorage; the rest kInternal.
ErrorKind kind_of_errno(int error) noexcept;

// Error{kind_of_errno(error), "cannot <action> '<path>': <strerror>"}. Take errno before anything else can change it.
Error system_error(int error, const std::string& action, const std::string& path);

inline int exit_code(ErrorKind kind) noexcept {
  return static_cast<int>(kind);
}

// The table of exit codes, one line each, as --help prints it.
const char* exit_code_help() noexcept;

}  // namespace holdall::bundle
