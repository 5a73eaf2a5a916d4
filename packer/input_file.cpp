#include "packer/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "bundle/error.h"
#include "bundle/file_io.h"

namespace holdall::packer {

using bundle::Error;
using bundle::ErrorKind;

namespace {

FileIdentity identity_of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .mtime_ns = nanoseconds(status.st_mtim),
          .ctime_ns = nanoseconds(status.st_ctim)};
}

}  // namespace

std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return identity_of(status);
}

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a FIFO that somebody left there must not hang.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor_ < 0) throw bundle::system_error(errno, "open", path_);
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    const int error = errno;
    ::close(descriptor_);
    throw bundle::system_error(error, "examine", path_);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(ErrorKind::kCannotPack, "cannot pack '" + path_ + "': not a regular file");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
  mtime_ns_ = nanoseconds(status.st_mtim);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      mtime_ns_(other.mtime_ns_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(mtime_ns_, other.mtime_ns_);
  return *this;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::size_t InputFile::read_some(std::uint64_t offset, std::span<std::byte> out) const {
  const ssize_t got = bundle::pread_all(descriptor_, out, offset);
  if (got < 0) throw bundle::system_error(errno, "read", path_);
  return static_cast<std::size_t>(got);
}

FileIdentity InputFile::identity() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw bundle::system_error(errno, "examine", path_);
  return identity_of(status);
}

void InputFile::require_unchanged() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw bundle::system_error(errno, "examine", path_);
  if (static_cast<std::uint64_t>(status.st_size) != size_ || nanoseconds(status.st_mtim) != mtime_ns_) {
    throw changed_while_packed(path_);
  }
}

std::int64_t nanoseconds(const std::timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Error changed_while_packed(const std::string& path) {
  return Error(ErrorKind::kInternal, "'" + path + "' changed while it was packed: pack again");
}

InputFile open_found(const FoundFile& found) {
  try {
    InputFile file(found.path);
    if (file.size() == found.size && (found.mtime_ns == kNoTime || file.mtime_ns() == found.mtime_ns)) return file;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
  }
  throw changed_while_packed(found.path);
}

std::string read_whole(const std::string& path, std::uint64_t limit) {
  return read_whole(InputFile(path), limit);
}

std::string read_whole(const ReadableFile& file, std::uint64_t limit) {
  if (file.size() > limit) {
    throw Error(ErrorKind::kCannotPack, "cannot read '" + file.path() + "': " + std::to_string(file.size()) +
                                            " bytes, at most " + std::to_string(limit) + " are expected");
  }
  std::string contents(file.size(), '\0');
  contents.resize(file.read_some(0, std::as_writable_bytes(std::span(contents))));
  return contents;
}

}  // namespace holdall::packer
