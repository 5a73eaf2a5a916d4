// While it lives, uname says to this thread and those it starts that Linux is 2.6.
#pragma once

#include <sys/personality.h>

#include <stdexcept>

namespace holdall::tests {

class OldKernel {
 public:
  OldKernel() : before_(::personality(0xFFFFFFFF)) {
    if (before_ < 0 || ::personality(static_cast<unsigned long>(before_) | UNAME26) < 0)
      throw std::runtime_error("cannot change what uname says");
  }
  OldKernel(const OldKernel&) = delete;
  OldKernel& operator=(const OldKernel&) = delete;
  ~OldKernel() { ::personality(static_cast<unsigned long>(before_)); }

 private:
  const int before_;
};

}  // namespace holdall::tests
