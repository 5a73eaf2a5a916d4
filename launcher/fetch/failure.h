// What goes wrong on the way to a server.
#pragma once

#include <string>

#include "bundle/error.h"

namespace holdall::launcher {

class FetchFailure : public bundle::Error {
 public:
  enum class Kind {
    kPassing,  // worth another try
    kLasting,  // would fail the same again
  };
  FetchFailure(Kind kind, const std::string& message)
      : Error(bundle::ErrorKind::kNetwork, message), passing_(kind == Kind::kPassing) {}
  bool passing() const { return passing_; }

 private:
  bool passing_;
};

}  // namespace holdall::launcher
