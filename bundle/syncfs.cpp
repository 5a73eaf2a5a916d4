#include "bundle/syncfs.h"

#include <sys/utsname.h>

#include <cstdio>

namespace holdall::bundle {
namespace {

constexpr std::size_t kFilesSyncedSingly = 256;

bool syncfs_reports_errors() {
  utsname system{};
  int major = 0, minor = 0;
  if (::uname(&system) != 0 || std::sscanf(system.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 8);
}

}  // namespace

bool syncfs_suits(std::size_t files) {
  return files > kFilesSyncedSingly && syncfs_reports_errors();
}

}  // namespace holdall::bundle
