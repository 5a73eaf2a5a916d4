#include "bundle/file_sink.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "bundle/error.h"
#include "bundle/file_descriptor.h"
#include "bundle/file_io.h"

namespace holdall::bundle {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;
// Below this the kernel's own write-back is as good.
constexpr std::size_t kEarlyWriteback = std::size_t{256} << 10;

// What was written is read back by a descriptor of its own: the sink's only writes.
class Readable {
 public:
  Readable(const SafeFolder& folder, const std::string& path) : path_(path), file_(folder.open_file(path)) {}

  void read(std::uint64_t offset, std::span<char> out) const {
    const ssize_t got = pread_all(file_.get(), std::as_writable_bytes(out), offset);
    if (got != static_cast<ssize_t>(out.size())) throw system_error(got < 0 ? errno : EIO, "read", path_);
  }

 private:
  const std::string& path_;
  const FileDescriptor file_;
};

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
  reserve(size);
}

void FileSink::reserve(std::uint64_t size) const {
  // Not every filesystem can; a full disk is then met while writing.
  if (size != 0 && ::fallocate(fd_, 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP && errno != ENOSYS &&
      errno != EINTR)
    throw system_error(errno, "reserve space for", entry_.path);
}

Digest FileSink::copy_from(int file) {
  create(0);
  if (::ioctl(fd_, FICLONE, file) == 0) {
    if (::ftruncate(fd_, static_cast<off_t>(entry_.size)) != 0)
      throw system_error(errno, "set the size of", entry_.path);
    return digest_of_contents();
  }
  reserve(entry_.size);
  Sha256 hash;
  std::vector<std::byte> block(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, entry_.size)));
  for (std::uint64_t offset = 0; offset < entry_.size;) {
    const ssize_t got = pread_all(file, block, offset);
    if (got < 0) throw system_error(errno, "read what is to be", entry_.path);
    if (got == 0) break;
    const auto bytes = std::span<const std::byte>(block).first(
        std::min(static_cast<std::size_t>(got), static_cast<std::size_t>(entry_.size - offset)));
    hash.update(bytes);
    write(offset, bytes);
    start_writeback(offset, bytes.size());
    offset += bytes.size();
  }
  return hash.finish();
}

void FileSink::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!pwrite_all(fd_, bytes, offset)) throw system_error(errno, "write", entry_.path);
}

void FileSink::start_writeback(std::uint64_t offset, std::uint64_t size) {
  if (size >= kEarlyWriteback)
    ::sync_file_range(fd_, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
}

void FileSink::relocate_in_place(const std::string& prefix, LibcChoice libc) {
  const Readable file(folder_, entry_.path);
  for (const Field& field : fields_of(entry_.relocations, entry_.size)) {
    std::string bytes(field.size, '\0');
    file.read(field.offset, bytes);
    bytes = relocate(bytes, field, prefix, libc);
    write(field.offset, std::as_bytes(std::span(bytes)));
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
  if (!fsync_all(fd_)) throw system_error(errno, "fsync", entry_.path);
}

void FileSink::close() {
  if (::close(std::exchange(fd_, -1)) != 0) throw system_error(errno, "close", entry_.path);
}

}  // namespace holdall::bundle
