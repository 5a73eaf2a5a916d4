#include "launcher/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace holdall::launcher {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel's MAXSYMLINKS

void push_components(const std::string& path, std::vector<std::string>& stack) {
  std::size_t end = path.size();
  while (end > 0) {
    const std::size_t slash = path.rfind('/', end - 1);
    const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
    if (begin < end) stack.push_back(path.substr(begin, end - begin));
    end = slash == std::string::npos ? 0 : slash;
  }
}

std::optional<std::string> read_link(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
  if (size <= 0 || size == static_cast<ssize_t>(sizeof target)) return std::nullopt;
  return std::string(target, static_cast<std::size_t>(size));
}

// The link-free path, or an empty string with the reason in `error`.
std::string resolve(const std::string& prefix, const std::string& path, int& error) {
  std::vector<std::string> pending;
  push_components(path, pending);
  std::string done;
  int links = 0;
  while (!pending.empty()) {
    const std::string name = std::move(pending.back());
    pending.pop_back();
    if (name == ".") continue;
    if (name == "..") {
      done.erase(std::min(done.rfind('/'), done.size()));
      continue;
    }
    const std::string next = done + "/" + name;
    struct stat status {};
    if (::lstat((prefix + next).c_str(), &status) != 0) {
      error = errno;
      return {};
    }
    if (!S_ISLNK(status.st_mode)) {
      done = next;
      continue;
    }
    const auto target = read_link(prefix + next);
    if (!target || ++links > kMaxLinks) {
      error = target ? ELOOP : EIO;
      return {};
    }
    if (target->front() == '/') done.clear();
    push_components(*target, pending);
  }
  error = 0;
  return done.empty() ? "/" : done;
}

}  // namespace

Host::Host(const std::string& sysroot) : prefix_(sysroot) {
  while (!prefix_.empty() && prefix_.back() == '/') prefix_.pop_back();
}

std::optional<std::string> Host::real_path(const std::string& path) const {
  int error = 0;
  std::string real = resolve(prefix_, path, error);
  if (error != 0) return std::nullopt;
  return real;
}

std::optional<FileStatus> Host::status(const std::string& path) const {
  const auto real = real_path(path);
  struct stat status {};
  if (!real || ::stat(outside(*real).c_str(), &status) != 0) return std::nullopt;
  return FileStatus{status.st_mode, status.st_uid, status.st_gid, static_cast<std::uint64_t>(status.st_size)};
}

bundle::FileDescriptor Host::open(const std::string& path) const {
  const auto real = real_path(path);
  if (!real) return {};
  bundle::FileDescriptor file(
      ::open(outside(*real).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return file;
}

std::optional<std::string> Host::read(const std::string& path, std::size_t limit) const {
  const bundle::FileDescriptor file = open(path);
  if (!file) return std::nullopt;
  std::string text;
  while (text.size() < limit) {
    const std::size_t before = text.size();
    text.resize(std::min(limit, before + 64 * 1024));
    const ssize_t size = ::read(file.get(), text.data() + before, text.size() - before);
    if (size < 0 && errno == EINTR) {
      text.resize(before);
      continue;
    }
    if (size < 0) return std::nullopt;
    text.resize(before + static_cast<std::size_t>(size));
    if (size == 0) break;
  }
  return text;
}

std::vector<std::string> Host::list(const std::string& path) const {
  std::vector<std::string> names;
  const auto real = real_path(path);
  if (!real) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(outside(*real).c_str()), ::closedir);
  if (!folder) return names;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> Host::link_name(const std::string& path) const {
  const std::size_t slash = path.rfind('/');
  const auto folder = real_path(path.substr(0, slash));
  if (!folder) return std::nullopt;
  const auto target = read_link(outside(*folder) + path.substr(slash));
  if (!target) return std::nullopt;
  return target->substr(target->rfind('/') + 1);
}

int Host::open_error(const std::string& path) const {
  int error = 0;
  const std::string real = resolve(prefix_, path, error);
  if (error != 0) return error;
  const bundle::FileDescriptor node(::open(outside(real).c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  return node ? 0 : errno;
}

}  // namespace holdall::launcher
