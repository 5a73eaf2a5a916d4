#include "bundle/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "bundle/error.h"

namespace holdall::bundle {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;
// Below this the kernel's own write-back is as good.
constexpr std::size_t kEarlyWriteback = std::size_t{256} << 10;

// What was written is read back by a descriptor of its own: the sink's only writes.
class Readable {
 public:
  Readable(const SafeFolder& folder, const std::string& path) : path_(path), fd_(folder.open_file(path)) {}
  Readable(const Readable&) = delete;
  Readable& operator=(const Readable&) = delete;
  ~Readable() { ::close(fd_); }

  void read(std::uint64_t offset, std::span<char> out) const {
    while (!out.empty()) {
      const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) throw system_error(got < 0 ? errno : EIO, "read", path_);
      out = out.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
  }

 private:
  const std::string& path_;
  const int fd_;
};

void write_all(int fd, std::uint64_t offset, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error(errno, "write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileSink::~FileSink() {
  if (fd_ >= 0) ::close(fd_);
}

void FileSink::create(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  if (fd_ >= 0) return;
  fd_ = folder_.create_file(entry_.path);
  // Not every filesystem can reserve; a full disk is then met while writing.
  if (size != 0 && ::fallocate(fd_, 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP && errno != ENOSYS &&
      errno != EINTR)
    throw system_error(errno, "reserve space for", entry_.path);
}

void FileSink::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  write_all(fd_, offset, bytes, entry_.path);
}

void FileSink::start_writeback(std::uint64_t offset, std::uint64_t size) {
  if (size >= kEarlyWriteback)
    ::sync_file_range(fd_, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
}

void FileSink::relocate_in_place(const std::string& prefix) {
  const Readable file(folder_, entry_.path);
  for (const Field& field : fields_of(entry_.relocations, entry_.size)) {
    std::string bytes(field.size, '\0');
    file.read(field.offset, bytes);
    bytes = relocate(bytes, field, prefix);
    write_all(fd_, field.offset, std::as_bytes(std::span(bytes)), entry_.path);
  }
}

Digest FileSink::digest_of_contents() const {
  const Readable file(folder_, entry_.path);
  Sha256 hash;
  std::vector<char> block(kBlock);
  for (std::uint64_t offset = 0; offset < entry_.size;) {
    const auto part =
        std::span(block).first(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, entry_.size - offset)));
    file.read(offset, part);
    hash.update(std::as_bytes(part));
    offset += part.size();
  }
  return hash.finish();
}

InstalledFile FileSink::reveal(std::int64_t mtime_seconds) {
  const timespec times[2] = {{.tv_sec = mtime_seconds, .tv_nsec = 0}, {.tv_sec = mtime_seconds, .tv_nsec = 0}};
  if (::fchmod(fd_, entry_.executable ? 0755 : 0644) != 0) throw system_error(errno, "set the mode of", entry_.path);
  if (::futimens(fd_, times) != 0) throw system_error(errno, "set the time of", entry_.path);
  struct stat status {};
  if (::fstat(fd_, &status) != 0) throw system_error(errno, "stat", entry_.path);
  return {.path = entry_.path,
          .size = static_cast<std::uint64_t>(status.st_size),
          .mtime_ns = nanoseconds(status.st_mtim),
          .ctime_ns = nanoseconds(status.st_ctim),
          .digest = {}};
}

void FileSink::sync() {
  if (::fsync(fd_) != 0) throw system_error(errno, "fsync", entry_.path);
}

void FileSink::close() {
  if (::close(std::exchange(fd_, -1)) != 0) throw system_error(errno, "close", entry_.path);
}

}  // namespace holdall::bundle
