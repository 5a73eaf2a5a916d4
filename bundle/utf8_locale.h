// libarchive converts names from the locale's encoding. Names of a bundle are UTF-8 whatever the user's locale is, so a
// thread has a UTF-8 one while it writes them.
#pragma once

#include <clocale>

#include "bundle/error.h"

namespace holdall::bundle {

// For the thread that makes it, which must also destroy it.
class Utf8Locale {
 public:
  Utf8Locale() : previous_(uselocale(utf8())) {}
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() { uselocale(previous_); }

 private:
  // The process has one: to make it takes longer than to write a header.
  static locale_t utf8() {
    static const locale_t made = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (made == nullptr) throw Error(ErrorKind::kInternal, "cannot use locale 'C.UTF-8': the C library has none");
    return made;
  }

  const locale_t previous_;
};

}  // namespace holdall::bundle
