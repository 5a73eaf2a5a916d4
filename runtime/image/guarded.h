// libpng and libjpeg report errors by longjmp, which skips destructors.
#pragma once

#include <csetjmp>

namespace holdall::runtime::image {

// Runs `body` and is true, or false where it was left by longjmp(jump, …). `body` may only make objects without
// destructors and must not throw: everything with a destructor lives outside, where it is not skipped.
template <typename Body>
bool guarded(std::jmp_buf& jump, Body body) {
  if (setjmp(jump) != 0) return false;
  body();
  return true;
}

}  // namespace holdall::runtime::image
