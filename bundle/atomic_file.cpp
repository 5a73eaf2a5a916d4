#include "bundle/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "bundle/error.h"
#include "bundle/file_io.h"
#include "bundle/temporary_name.h"

namespace holdall::bundle {

namespace {

constexpr mode_t kMode = 0666;  // less the umask, as any program's output
constexpr int kTries = 16;

constexpr std::size_t kGathered = std::size_t{256} << 10;  // small writes are put together to this

// The disk gets every step as soon as it is written, and has its time until the file is `kOnItsWay` longer.
constexpr std::uint64_t kStep = std::uint64_t{4} << 20;
constexpr std::uint64_t kOnItsWay = std::uint64_t{64} << 20;

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  gathered_.reserve(kGathered);
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
  fd_ = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kMode);
  if (fd_ >= 0 && ::access("/proc/self/fd", F_OK) == 0) return;
  if (fd_ >= 0) ::close(fd_);
  // EEXIST means another writer's temporary: try another name. What fails for another reason fails here as well.
  for (int i = 0; i < kTries; ++i) {
    std::string candidate = temporary_path();
    fd_ = ::open(candidate.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, kMode);
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

std::string AtomicFile::temporary_path() const {
  return (folder_ == "." ? "" : folder_) + temporary_name(name_);
}

void AtomicFile::write(std::span<const std::byte> data) {
  if (gathered_.size() + data.size() > kGathered) flush();
  if (data.size() > kGathered) {
    put(data);
  } else {
    gathered_.insert(gathered_.end(), data.begin(), data.end());
  }
}

void AtomicFile::flush() {
  put(gathered_);
  gathered_.clear();
}

void AtomicFile::put(std::span<const std::byte> data) {
  if (!pwrite_all(fd_, data, written_)) throw system_error(errno, "write", path_);
  written_ += data.size();
  for (; written_ - started_ >= kStep; started_ += kStep) {
    write_back(started_, SYNC_FILE_RANGE_WRITE);
    if (started_ < kOnItsWay) continue;
    const std::uint64_t arrived = started_ - kOnItsWay;
    write_back(arrived, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    ::posix_fadvise(fd_, static_cast<off_t>(arrived), kStep, POSIX_FADV_DONTNEED);  // what fails costs only memory
  }
}

// What the disk could not take is told here, and not once more by fsync (errseq_t, Linux Documentation/core-api). A
// kernel that lacks the call, or a container whose filter denies it (EPERM), leaves all of it to fsync.
void AtomicFile::write_back(std::uint64_t offset, unsigned flags) {
  if (::sync_file_range(fd_, static_cast<off_t>(offset), kStep, flags) != 0 && errno != ENOSYS && errno != EPERM)
    throw system_error(errno, "write", path_);
}

// A file without a name cannot replace another: it gets the temporary's name first.
void AtomicFile::give_name() {
  const std::string self = "/proc/self/fd/" + std::to_string(fd_);
  for (int i = 0; i < kTries; ++i) {
    std::string candidate = temporary_path();
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, candidate.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      temporary_ = std::move(candidate);
      return;
    }
    if (errno != EEXIST) break;
  }
  throw system_error(errno, "create", path_);
}

void AtomicFile::finish() {
  flush();
  if (!fsync_all(fd_)) throw system_error(errno, "write", path_);
  ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
  if (temporary_.empty()) give_name();
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) throw system_error(errno, "write", path_);
}

void AtomicFile::commit() {
  if (fd_ >= 0) finish();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(errno, "create", path_);
  temporary_.clear();
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) throw system_error(errno, "open", folder_);
  const int failed = fsync_all(folder) ? 0 : errno;
  ::close(folder);
  if (failed != 0) throw system_error(failed, "write", folder_);
}

}  // namespace holdall::bundle
