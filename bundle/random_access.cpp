#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "bundle/error.h"
#include "bundle/reader.h"

namespace holdall::bundle {

namespace {

class File final : public RandomAccess {
 public:
  explicit File(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) throw system_error(errno, "open", path);
    struct stat info {};
    const int failed = ::fstat(fd_, &info) != 0 ? errno : 0;
    if (failed == 0 && S_ISREG(info.st_mode)) {
      size_ = static_cast<std::uint64_t>(info.st_size);
      return;
    }
    ::close(fd_);  // the destructor does not run
    if (failed != 0) throw system_error(failed, "stat", path);
    throw Error(ErrorKind::kBadBundle, "cannot read '" + path + "': not a regular file");
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() override { ::close(fd_); }

  std::uint64_t size() const override { return size_; }

  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0) {
        if (errno == EINTR) continue;
        throw system_error(errno, "read", path_);
      }
      if (got == 0) throw Error(ErrorKind::kBadBundle, "cannot read '" + path_ + "': it ends early");
      offset += static_cast<std::uint64_t>(got);
      out = out.subspan(static_cast<std::size_t>(got));
    }
  }

 private:
  std::string path_;
  int fd_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<RandomAccess> open_file(const std::string& path) {
  return std::make_unique<File>(path);
}

}  // namespace holdall::bundle
