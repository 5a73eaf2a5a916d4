#include "bundle/atomic_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "bundle/error.h"

namespace holdall::bundle {

namespace {

constexpr mode_t kMode = 0666;  // less the umask, as any program's output
constexpr int kTries = 16;

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  const std::size_t slash = path_.rfind('/');
  folder_ = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  name_ = slash == std::string::npos ? path_ : path_.substr(slash + 1);
  if (name_.empty() || name_ == "." || name_ == "..") {
    throw Error(ErrorKind::kStorage, "cannot create '" + path_ + "': it names a folder");
  }
  struct stat info {};
  if (::stat(path_.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    throw Error(ErrorKind::kStorage, "cannot create '" + path_ + "': it is a folder");
  }
  fd_ = ::open(folder_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, kMode);
  if (fd_ >= 0 && ::access("/proc/self/fd", F_OK) == 0) return;
  if (fd_ >= 0) ::close(fd_);
  // EEXIST means another writer's temporary: try another name. What fails for another reason fails here as well.
  for (int i = 0; i < kTries; ++i) {
    std::string candidate = random_name();
    fd_ = ::open(candidate.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, kMode);
    if (fd_ >= 0) {
      temporary_ = std::move(candidate);
      return;
    }
    if (errno != EEXIST) break;
  }
  throw system_error(errno, "create", path_);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

std::string AtomicFile::random_name() const {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
    throw system_error(errno, "choose a temporary name beside", path_);
  }
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, ".%016llx.part", static_cast<unsigned long long>(random));
  // The name is cut so that the temporary's fits where the target's does.
  return (folder_ == "." ? "" : folder_) + "." + name_.substr(0, 200) + suffix;
}

void AtomicFile::write(std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t put = ::write(fd_, data.data(), data.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      throw system_error(errno, "write", path_);
    }
    data = data.subspan(static_cast<std::size_t>(put));
  }
}

// A file without a name cannot replace another: it gets the temporary's name first.
void AtomicFile::give_name() {
  const std::string self = "/proc/self/fd/" + std::to_string(fd_);
  for (int i = 0; i < kTries; ++i) {
    std::string candidate = random_name();
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, candidate.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      temporary_ = std::move(candidate);
      return;
    }
    if (errno != EEXIST) break;
  }
  throw system_error(errno, "create", path_);
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) throw system_error(errno, "write", path_);
  if (temporary_.empty()) give_name();
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) throw system_error(errno, "write", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(errno, "create", path_);
  temporary_.clear();
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) throw system_error(errno, "open", folder_);
  const int failed = ::fsync(folder) != 0 ? errno : 0;
  ::close(folder);
  if (failed != 0) throw system_error(failed, "write", folder_);
}

}  // namespace holdall::bundle
