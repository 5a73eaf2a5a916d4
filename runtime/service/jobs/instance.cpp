#include "runtime/service/jobs/instance.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "runtime/files/files.h"
#include "runtime/service/digest.h"

namespace holdall::runtime::service {

Instance::Instance(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) files::failed("make", folder_, error.value());
  while (!claim()) {
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) alive(entry.path().filename().string());
}

Instance::~Instance() {
  ::unlink((folder_ / name_).c_str());
  ::close(fd_);
}

// False: another process took the new file for a dead one's before it was locked.
bool Instance::claim() {
  name_ = random_hex(8);
  const auto file = folder_ / name_;
  fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd_ < 0) files::failed("make", file, errno);
  struct stat status {};
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd_, &status) == 0 && status.st_nlink > 0) return true;
  ::close(fd_);
  return false;
}

bool Instance::alive(const std::string& name) const {
  if (name == name_) return true;
  const auto file = folder_ / name;
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno != ENOENT;
  const bool dead = ::flock(fd, LOCK_SH | LOCK_NB) == 0;  // shared: two that look at once do not take each other for it
  if (dead) ::unlink(file.c_str());
  ::close(fd);
  return !dead;
}

}  // namespace holdall::runtime::service
