#include "bundle/atomic_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "bundle/error.h"

namespace holdall::bundle {

namespace {

constexpr mode_t kMode = 0666;  // less the umask, as any program's output
constexpr int kTries = 16;

// A write past the page cache needs memory, offset and length that are multiples of the disk's block, which is 4 KiB at
// most; and it waits for the disk, so that a small one is slow.
constexpr std::size_t kBlock = std::size_t{4} << 20;
constexpr std::align_val_t kAlignment{4096};

// Much enough to keep a disk busy, and little enough to be quickly done with at the end.
constexpr std::size_t kSyncBytes = std::size_t{64} << 20;

}  // namespace

// Brings what was written to the disk, in a thread of its own. A disk's own cache takes gigabytes faster than it can
// keep them, so that without this commit() waits long even for what was written past the page cache.
class AtomicFile::Syncer {
 public:
  explicit Syncer(int fd) : fd_(fd) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {  // no thread is to be had: commit() syncs all of it
    }
  }
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;
  ~Syncer() { stop(); }

  void wrote(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    unsynced_ += bytes;
    if (unsynced_ >= kSyncBytes) changed_.notify_one();
  }

  // Waits for the sync under way. Returns errno of what failed, which the kernel tells only once, or 0.
  int stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
    return error_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || unsynced_ >= kSyncBytes; });
      if (stopping_) return;
      unsynced_ = 0;
      lock.unlock();
      const int error = ::fdatasync(fd_) != 0 ? errno : 0;
      lock.lock();
      if (error_ == 0) error_ = error;
    }
  }

  const int fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t unsynced_ = 0;
  bool stopping_ = false;
  int error_ = 0;
  std::thread thread_;
};

void AtomicFile::Free::operator()(std::byte* memory) const {
  ::operator delete[](memory, kAlignment);
}

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), block_(static_cast<std::byte*>(::operator new[](kBlock, kAlignment))) {
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
    std::string candidate = random_name();
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
  syncer_.reset();
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
    const std::size_t part = std::min(data.size(), kBlock - filled_);
    std::memcpy(block_.get() + filled_, data.data(), part);
    filled_ += part;
    data = data.subspan(part);
    if (filled_ == kBlock) flush();
  }
}

void AtomicFile::set_caching(Caching caching) {
  const int flags = ::fcntl(fd_, F_GETFL);
  const int wanted = caching == Caching::kOff ? flags | O_DIRECT : flags & ~O_DIRECT;
  if (flags >= 0 && ::fcntl(fd_, F_SETFL, wanted) == 0) caching_ = caching;
}

void AtomicFile::flush() {
  const bool whole = filled_ == kBlock;
  // Not every filesystem can do without its cache, or tells it before the first write; none can for the file's end.
  if (whole && !syncer_) set_caching(Caching::kOff);
  if (!whole && caching_ == Caching::kOff) set_caching(Caching::kOn);
  for (std::span<const std::byte> left(block_.get(), filled_); !left.empty();) {
    const ssize_t put = ::write(fd_, left.data(), left.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      const int error = errno;
      if (error == EINVAL && caching_ == Caching::kOff) {
        set_caching(Caching::kOn);
        if (caching_ == Caching::kOn) continue;
      }
      throw system_error(error, "write", path_);
    }
    left = left.subspan(static_cast<std::size_t>(put));
  }
  filled_ = 0;
  if (!whole) return;
  if (!syncer_) syncer_ = std::make_unique<Syncer>(fd_);
  syncer_->wrote(kBlock);
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

void AtomicFile::finish() {
  flush();
  if (const int error = syncer_ ? syncer_->stop() : 0; error != 0) throw system_error(error, "write", path_);
  if (::fsync(fd_) != 0) throw system_error(errno, "write", path_);
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
  const int failed = ::fsync(folder) != 0 ? errno : 0;
  ::close(folder);
  if (failed != 0) throw system_error(failed, "write", folder_);
}

}  // namespace holdall::bundle
