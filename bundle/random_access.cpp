#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "bundle/error.h"
#include "bundle/file_descriptor.h"
#include "bundle/file_io.h"
#include "bundle/reader.h"

namespace holdall::bundle {

namespace {

class File final : public RandomAccess {
 public:
  explicit File(const std::string& path) : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (!file_) throw system_error(errno, "open", path);
    struct stat info {};
    if (::fstat(file_.get(), &info) != 0) throw system_error(errno, "stat", path);
    if (!S_ISREG(info.st_mode)) throw Error(ErrorKind::kBadBundle, "cannot read '" + path + "': not a regular file");
    size_ = static_cast<std::uint64_t>(info.st_size);
  }

  std::uint64_t size() const override { return size_; }

  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    const ssize_t got = pread_all(file_.get(), out, offset);
    if (got < 0) throw system_error(errno, "read", path_);
    if (static_cast<std::size_t>(got) != out.size())
      throw Error(ErrorKind::kBadBundle, "cannot read '" + path_ + "': it ends early");
  }

 private:
  std::string path_;
  FileDescriptor file_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<RandomAccess> open_file(const std::string& path) {
  return std::make_unique<File>(path);
}

}  // namespace holdall::bundle
