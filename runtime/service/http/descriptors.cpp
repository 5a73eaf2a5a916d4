#include "runtime/service/http/descriptors.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "runtime/error.h"

namespace holdall::runtime::service {
namespace {

constexpr std::size_t kOwn = 128;

}  // namespace

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  int error = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : errno;
  if (!error && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) error = errno;
  }
  if (error)
    throw Error(ErrorKind::kInternal, std::string("cannot set the limit of open files: ") + std::strerror(error));
  return limit.rlim_cur;
}

std::size_t connections_within(std::size_t descriptors) noexcept {
  return std::max(descriptors, 2 * kOwn) - kOwn;
}

}  // namespace holdall::runtime::service
