#include "runtime/files/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/error.h"

namespace holdall::runtime::files {

void failed(const char* what, const std::filesystem::path& file, int error) {
  throw Error(error == ENOENT || error == ENOTDIR ? ErrorKind::kNotFound : ErrorKind::kStorage,
              std::string("cannot ") + what + " '" + file.string() + "': " + std::strerror(error));
}

ReadOnly::ReadOnly(const std::filesystem::path& file) : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) failed("open", file, errno);
}

ReadOnly::~ReadOnly() {
  ::close(fd_);
}

std::vector<std::byte> read_file(const std::filesystem::path& file) {
  const ReadOnly fd(file);
  std::vector<std::byte> bytes;
  std::byte buffer[1 << 16];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) failed("read", file, errno);
    if (count == 0) return bytes;
    bytes.insert(bytes.end(), buffer, buffer + count);
  }
}

NewFile::NewFile(std::filesystem::path file)
    : file_(std::move(file)), temporary_(file_.string() + ".XXXXXX"), fd_(::mkostemp(temporary_.data(), O_CLOEXEC)) {
  if (fd_ < 0) failed("create", file_, errno);
}

NewFile::~NewFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void NewFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) failed("write", file_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void NewFile::sync() {
  if (::fsync(fd_) != 0) failed("write", file_, errno);
}

void NewFile::commit(unsigned mode) {
  if (::fchmod(fd_, mode) != 0 || ::close(std::exchange(fd_, -1)) != 0 ||
      ::rename(temporary_.c_str(), file_.c_str()) != 0)
    failed("write", file_, errno);
  temporary_.clear();
}

}  // namespace holdall::runtime::files
