#include "packer/output/folder_output.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <utility>

#include "bundle/error.h"
#include "bundle/member_path.h"
#include "bundle/temporary_name.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using bundle::EntryType;
using bundle::system_error;

constexpr mode_t kPlain = 0644, kExecutable = 0755;

// Access and modification.
std::array<timespec, 2> both(std::int64_t seconds) {
  const timespec time{static_cast<time_t>(seconds), 0};
  return {time, time};
}

int rename_with(const std::string& from, const std::string& to, unsigned flags) {
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
}

}  // namespace

FolderOutput::FolderOutput(std::string path, std::int64_t mtime) : path_(std::move(path)), mtime_(mtime) {
  const fs::path given(path_);
  const std::string name = given.filename().string();
  if (name.empty() || name == "." || name == "..") {
    throw bundle::Error(bundle::ErrorKind::kStorage, "cannot create '" + path_ + "': it names no folder of its own");
  }
  parent_ = given.has_parent_path() ? given.parent_path().string() : ".";
  const std::string temporary = (fs::path(parent_) / bundle::temporary_name(name)).string();
  if (::mkdir(temporary.c_str(), 0700) != 0) throw system_error(errno, "create", path_);
  temporary_ = temporary;
  folder_ = ::open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) {
    const int error = errno;
    ::rmdir(temporary_.c_str());
    throw system_error(error, "open", path_);
  }
  tree_ = std::make_unique<bundle::SafeFolder>(folder_, bundle::available_resolver(folder_));
}

FolderOutput::~FolderOutput() {
  if (file_ >= 0) ::close(file_);
  if (folder_ >= 0) ::close(folder_);
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

// With those above it: only those of the first member are no members themselves, or come later.
void FolderOutput::make_folder(const std::string& path) {
  if (path.empty() || !made_.insert(path).second) return;
  make_folder(std::string(bundle::parent_of(path)));
  tree_->make_folder(path);
  folders_.push_back(path);
}

void FolderOutput::begin(const bundle::Entry& entry) {
  if (entry.type == EntryType::kDirectory) {
    make_folder(entry.path);
    return;
  }
  make_folder(std::string(bundle::parent_of(entry.path)));
  if (entry.type == EntryType::kSymlink) {
    tree_->make_link(entry.link_target, entry.path);
    const auto times = both(mtime_);
    if (::utimensat(folder_, entry.path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
      throw system_error(errno, "write", path_);
    return;
  }
  file_ = tree_->create_file(entry.path);
  executable_ = entry.executable;
}

void FolderOutput::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw system_error(errno, "write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void FolderOutput::set_time(int descriptor) const {
  const auto times = both(mtime_);
  if (::futimens(descriptor, times.data()) != 0) throw system_error(errno, "write", path_);
}

void FolderOutput::end() {
  if (file_ < 0) return;
  if (::fchmod(file_, executable_ ? kExecutable : kPlain) != 0) throw system_error(errno, "write", path_);
  set_time(file_);
  if (::close(std::exchange(file_, -1)) != 0) throw system_error(errno, "write", path_);
}

// Folders last: their times change with what is put into them.
void FolderOutput::finish() {
  for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
    const int descriptor = tree_->open_folder(*folder);
    const bool done = ::fchmod(descriptor, kExecutable) == 0;
    const int error = errno;
    if (done) set_time(descriptor);
    ::close(descriptor);
    if (!done) throw system_error(error, "write", path_);
  }
  set_time(folder_);
}

std::string FolderOutput::commit() {
  std::string left;
  if (::fchmod(folder_, kExecutable) != 0 || ::syncfs(folder_) != 0) throw system_error(errno, "write", path_);
  if (rename_with(temporary_, path_, RENAME_EXCHANGE) != 0) {
    if (errno != ENOENT && errno != EINVAL) throw system_error(errno, "create", path_);
    // Nothing is there, or the filesystem cannot exchange: then what is there goes first.
    std::error_code error;
    if (fs::exists(fs::symlink_status(path_, error))) fs::remove_all(path_, error);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(errno, "create", path_);
    temporary_.clear();
  } else {
    std::error_code error;
    fs::remove_all(temporary_, error);
    if (error) left = temporary_;
    temporary_.clear();
  }
  const int parent = ::open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool done = parent >= 0 && ::fsync(parent) == 0;
  const int error = errno;
  if (parent >= 0) ::close(parent);
  if (!done) throw system_error(error, "write", parent_);
  return left;
}

bool may_be_replaced(const std::string& path, const std::string& root) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(path, error))) return true;
  if (fs::is_empty(path, error) && !error) return true;
  return fs::is_regular_file(fs::symlink_status(fs::path(path) / root / "holdall/bundle.json", error));
}

}  // namespace holdall::packer
