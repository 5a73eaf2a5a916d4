#include "bundle/temporary_name.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "bundle/error.h"

namespace holdall::bundle {

std::string random_name() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) throw system_error(errno, "read", "random bytes");
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string temporary_name(const std::string& name) {
  return "." + name.substr(0, 200) + "." + random_name() + ".part";
}

}  // namespace holdall::bundle
