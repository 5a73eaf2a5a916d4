// The runtime's one exception type. The service maps a kind to an HTTP status, the command line to an exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace holdall::runtime {

enum class ErrorKind {
  kInternal,     // HTTP 500, exit 1
  kBadRequest,   // HTTP 400 with `param`, exit 2
  kTooLarge,     // more than this service takes. HTTP 413 with `param`, exit 2
  kBadModel,     // the checkpoint is wrong: unknown class, missing tensor, bad JSON. Exit 3
  kStorage,      // cannot read or write. Exit 6
  kNotFound,     // file or folder missing. Exit 7
  kOutOfMemory,  // HTTP 507, exit 1
  kCancelled,    // the caller's cancellation was seen at a step boundary. Exit 130
};

class Error : public std::runtime_error {
 public:
  // `message` as in bundle/error.h. `param`: the request field at fault, or empty.
  Error(ErrorKind kind, const std::string& message, std::string param = {})
      : std::runtime_error(message), kind_(kind), param_(std::move(param)) {}
  ErrorKind kind() const noexcept { return kind_; }
  const std::string& param() const noexcept { return param_; }

 private:
  ErrorKind kind_;
  std::string param_;
};

inline int exit_code(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::kBadRequest:
    case ErrorKind::kTooLarge:
      return 2;
    case ErrorKind::kBadModel:
      return 3;
    case ErrorKind::kStorage:
      return 6;
    case ErrorKind::kNotFound:
      return 7;
    case ErrorKind::kCancelled:
      return 130;
    default:
      return 1;
  }
}

}  // namespace holdall::runtime
