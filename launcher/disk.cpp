#include "launcher/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>

#include "bundle/error.h"
#include "bundle/file_io.h"

namespace holdall::launcher {
namespace {

using bundle::FileDescriptor;
using bundle::system_error;

bool is_folder(const Place& place) {
  struct stat status {};
  return ::fstatat(place.folder, place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

// To its end, or until it is more than `limit`. `file` was just opened, or not.
std::string read_open(const FileDescriptor& file, const std::string& name, std::size_t limit) {
  if (!file) throw system_error(errno, "open", name);
  std::string bytes;
  std::array<char, 65536> block{};
  while (bytes.size() <= limit) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "read", name);
    if (got == 0) break;
    bytes.append(block.data(), static_cast<std::size_t>(got));
  }
  return bytes;
}

}  // namespace

void Disk::make_folder(const Place& place, unsigned mode) const {
  announce("mkdir", place.name);
  if (::mkdirat(place.folder, place.name.c_str(), mode) != 0) throw system_error(errno, "make folder", place.name);
}

void Disk::make_link(const std::string& target, const Place& place) const {
  announce("symlink", place.name);
  if (::symlinkat(target.c_str(), place.folder, place.name.c_str()) != 0)
    throw system_error(errno, "make link", place.name);
}

void Disk::write_file(const Place& place, std::string_view bytes) const {
  announce("write", place.name);
  const FileDescriptor file(
      ::openat(place.folder, place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) throw system_error(errno, "create", place.name);
  if (!bundle::pwrite_all(file.get(), std::as_bytes(std::span(bytes)), 0))
    throw system_error(errno, "write", place.name);
  sync(file.get(), place.name);
}

void Disk::replace(const Place& from, const Place& to) const {
  announce("rename", to.name);
  if (::renameat(from.folder, from.name.c_str(), to.folder, to.name.c_str()) != 0)
    throw system_error(errno, "rename '" + from.name + "' to", to.name);
}

bool Disk::rename_new(const Place& from, const Place& to) const {
  announce("rename", to.name);
  if (::renameat2(from.folder, from.name.c_str(), to.folder, to.name.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EINVAL && errno != ENOSYS) throw system_error(errno, "rename '" + from.name + "' to", to.name);
  // A filesystem without the flag: the store's lock is held, so nobody else can create `to` in between.
  if (exists(to)) return false;
  if (::renameat(from.folder, from.name.c_str(), to.folder, to.name.c_str()) != 0)
    throw system_error(errno, "rename '" + from.name + "' to", to.name);
  return true;
}

void Disk::exchange(const Place& one, const Place& other) const {
  announce("exchange", other.name);
  if (::renameat2(one.folder, one.name.c_str(), other.folder, other.name.c_str(), RENAME_EXCHANGE) != 0)
    throw system_error(errno, "exchange '" + one.name + "' with", other.name);
}

void Disk::remove(const Place& place) const {
  announce("unlink", place.name);
  if (::unlinkat(place.folder, place.name.c_str(), 0) != 0 && errno != ENOENT)
    throw system_error(errno, "remove", place.name);
}

void Disk::remove_tree(const Place& place) const {
  if (!is_folder(place)) return remove(place);
  {
    const FileDescriptor folder = open_folder(place);
    for (const std::string& name : names_in(place)) remove_tree({folder.get(), name});
  }
  announce("rmdir", place.name);
  if (::unlinkat(place.folder, place.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw system_error(errno, "remove folder", place.name);
}

void Disk::sync(int folder, std::string_view name) const {
  announce("fsync", name);
  if (!bundle::fsync_all(folder)) throw system_error(errno, "fsync", std::string(name));
}

FileDescriptor open_folder(const Place& place) {
  FileDescriptor folder(::openat(place.folder, place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder && errno != ENOENT) throw system_error(errno, "open folder", place.name);
  return folder;
}

std::vector<std::string> names_in(const Place& folder) {
  FileDescriptor descriptor = open_folder(folder);
  if (!descriptor) return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> list(::fdopendir(descriptor.get()), &::closedir);
  if (!list) throw system_error(errno, "read folder", folder.name);
  static_cast<void>(descriptor.release());
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* item = ::readdir(list.get())) {
    const std::string_view name = item->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) throw system_error(errno, "read folder", folder.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_link(const Place& place) {
  std::array<char, 4096> target{};
  const ssize_t length = ::readlinkat(place.folder, place.name.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

bool exists(const Place& place) {
  struct stat status {};
  return ::fstatat(place.folder, place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string read_file(const Place& place, std::size_t limit) {
  const FileDescriptor file(::openat(place.folder, place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  std::string bytes = read_open(file, place.name, limit);
  if (bytes.size() > limit)
    throw bundle::Error(bundle::ErrorKind::kStorage, "cannot read '" + place.name + "': it is larger than expected");
  return bytes;
}

std::string read_named(const std::string& path, std::size_t limit) {
  return read_open(FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path, limit);
}

}  // namespace holdall::launcher
