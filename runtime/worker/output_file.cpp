#include "runtime/worker/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/error.h"

namespace holdall::runtime::worker {

namespace {

[[noreturn]] void failed(const char* what, const std::filesystem::path& file, int error) {
  throw Error(error == ENOENT || error == ENOTDIR ? ErrorKind::kNotFound : ErrorKind::kStorage,
              std::string("cannot ") + what + " '" + file.string() + "': " + std::strerror(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

}  // namespace

std::vector<std::byte> read_file(const std::filesystem::path& file) {
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) failed("open", file, errno);
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

void write_file(const std::filesystem::path& file, std::span<const std::byte> bytes) {
  std::string temporary = file.string() + ".XXXXXX";
  Descriptor fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (fd.get() < 0) failed("create", file, errno);
  try {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) failed("write", file, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    if (::fchmod(fd.get(), 0644) != 0 || fd.close() != 0) failed("write", file, errno);
    if (::rename(temporary.c_str(), file.c_str()) != 0) failed("write", file, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

}  // namespace holdall::runtime::worker
