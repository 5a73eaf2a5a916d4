#include "bundle/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

constexpr std::uint64_t kWorthACall = 64 << 10;  // less is read and put together with others

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
  start_write_back();
}

void AtomicFile::gather(int from, std::uint64_t offset, std::size_t size) {
  gathered_.resize(gathered_.size() + size);
  const ssize_t got = pread_all(from, std::span(gathered_).last(size), offset);
  if (got < 0) throw system_error(errno, "read what is copied to", path_);
  if (static_cast<std::size_t>(got) != size)
    throw Error(ErrorKind::kStorage, "cannot write '" + path_ + "': the file that is copied from ends early");
}

// Where the kernel cannot, or fails, reading and writing does, or tells why not.
void AtomicFile::copy(int from, std::uint64_t offset, std::uint64_t size) {
  bool by_kernel = size >= kWorthACall;
  if (by_kernel) flush();
  while (size > 0) {
    if (by_kernel) {
      auto at = static_cast<off64_t>(offset), to = static_cast<off64_t>(written_);
      const ssize_t copied = ::copy_file_range(from, &at, fd_, &to, static_cast<std::size_t>(size), 0);
      by_kernel = copied > 0;
      if (!by_kernel) continue;
      written_ += static_cast<std::uint64_t>(copied);
      offset += static_cast<std::uint64_t>(copied);
      size -= static_cast<std::uint64_t>(copied);
      start_write_back();
      continue;
    }
    if (gathered_.size() == kGathered) flush();
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(size, kGathered - gathered_.size()));
    gather(from, offset, piece);
    offset += piece;
    size -= piece;
  }
}

void AtomicFile::start_write_back() {
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
