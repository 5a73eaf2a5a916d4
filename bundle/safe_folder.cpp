#include "bundle/safe_folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "bundle/error.h"

namespace holdall::bundle {
namespace {

constexpr mode_t kFileMode = 0600, kFolderMode = 0700;

int open_by_kernel(int folder, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.mode = (flags & O_CREAT) != 0 ? kFileMode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  while (true) {
    const long fd = ::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how);
    // EAGAIN: a rename elsewhere raced with the resolution; the kernel asks to try again.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
  }
}

dev_t device_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_dev : 0;
}

int close_with(int fd, int error) {
  ::close(fd);
  errno = error;
  return -1;
}

int open_by_component(int folder, const std::string& path, int flags) {
  int at = ::fcntl(folder, F_DUPFD_CLOEXEC, 0);
  if (at < 0) return -1;
  for (std::size_t start = 0;;) {
    const std::size_t slash = path.find('/', start);
    const std::string name = path.substr(start, slash - start);
    if (name.empty() || name == "..") return close_with(at, EXDEV);
    const bool last = slash == std::string::npos;
    const int next = last ? ::openat(at, name.c_str(), flags | O_NOFOLLOW, kFileMode)
                          : ::openat(at, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) return close_with(at, errno);
    ::close(at);
    at = next;
    if (device_of(at) != device_of(folder)) return close_with(at, EXDEV);
    if (last) return at;
    start = slash + 1;
  }
}

[[noreturn]] void fail(int error, const char* action, const std::string& path) {
  const auto refuse = [&](const char* why) -> Error {
    return {ErrorKind::kBadBundle, std::string("cannot ") + action + " '" + path + "': " + why};
  };
  if (error == ELOOP || error == ENOTDIR) throw refuse("a link or a file stands where a folder should be");
  if (error == EXDEV) throw refuse("the path leads out of the folder");
  if (error == EEXIST)
    throw refuse("the name exists already: two names of the archive are one name on this filesystem");
  throw system_error(error, action, path);
}

struct Split {
  std::string parent, name;
};

Split split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? Split{".", path} : Split{path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

Resolver available_resolver(int folder) {
  const int fd = open_by_kernel(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Resolver::kByComponent;
  ::close(fd);
  return Resolver::kKernel;
}

int SafeFolder::open(const std::string& path, int flags, const char* action) const {
  const int fd =
      resolver_ == Resolver::kKernel ? open_by_kernel(folder_, path, flags) : open_by_component(folder_, path, flags);
  if (fd < 0) fail(errno, action, path);
  return fd;
}

int SafeFolder::open_parent(const std::string& path) const {
  return open(split(path).parent, O_PATH | O_DIRECTORY | O_CLOEXEC, "open the folder of");
}

void SafeFolder::make_folder(const std::string& path) const {
  const int parent = open_parent(path);
  const int result = ::mkdirat(parent, split(path).name.c_str(), kFolderMode);
  const int error = errno;
  ::close(parent);
  if (result != 0) fail(error, "make folder", path);
}

void SafeFolder::make_link(const std::string& target, const std::string& path) const {
  const int parent = open_parent(path);
  const int result = ::symlinkat(target.c_str(), parent, split(path).name.c_str());
  const int error = errno;
  ::close(parent);
  if (result != 0) fail(error, "make link", path);
}

int SafeFolder::create_file(const std::string& path) const {
  return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, "create");
}

int SafeFolder::open_folder(const std::string& path) const {
  return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, "open folder");
}

int SafeFolder::open_file(const std::string& path) const {
  return open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, "open");
}

}  // namespace holdall::bundle
