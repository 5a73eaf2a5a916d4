#include "launcher/space.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "bundle/error.h"
#include "launcher/progress.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

// Room beside the files themselves: folders, the TOC's copy, the install record, the journal.
constexpr std::uint64_t kMargin = std::uint64_t{16} << 20;
constexpr std::uint64_t kMarginShare = 100;  // and a hundredth of the files' size
constexpr std::uint64_t kInodeMargin = 16;

std::uint64_t room_for(const bundle::Entry& entry, std::uint64_t block) {
  return std::max<std::uint64_t>((entry.size + block - 1) / block, 1) * block;
}

// Asked of the filesystem itself: what it says it is does not tell.
bool shares_blocks(int file, const FileDescriptor& folder) {
  const FileDescriptor unnamed(::openat(folder.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  return unnamed && ::ioctl(unnamed.get(), FICLONE, file) == 0;
}

std::uint64_t shared_room(const Store& store, const bundle::Toc& toc, const bundle::KnownContent& known,
                          std::uint64_t block) {
  const FileDescriptor staging = open_folder({store.directory_fd(), "staging"});
  std::optional<bool> shares;
  std::uint64_t sum = 0;
  for (const auto& entry : toc.entries) {
    if (entry.type != bundle::EntryType::kRegular || entry.size == 0 || !entry.relocations.empty()) continue;
    const FileDescriptor file = known.open_whole(entry.digest, entry.size);
    if (!file) continue;
    if (!shares) shares = shares_blocks(file.get(), staging);
    if (!*shares) return 0;
    sum += room_for(entry, block);
  }
  return sum;
}

}  // namespace

void require_space(const Store& store, const bundle::Toc& toc, const bundle::KnownContent* known) {
  struct statvfs status {};
  if (::fstatvfs(store.directory_fd(), &status) != 0)
    throw bundle::system_error(errno, "stat the filesystem of", store.path());
  const std::uint64_t block = std::max<std::uint64_t>(status.f_bsize, 512);
  const std::uint64_t free = std::uint64_t{status.f_bavail} * status.f_frsize;
  std::uint64_t need = 0;
  for (const auto& entry : toc.entries) need += room_for(entry, block);
  need += need / kMarginShare + kMargin;
  if (free < need && known != nullptr) need -= shared_room(store, toc, *known, block);
  if (free < need)
    throw Error(ErrorKind::kStorage, "not enough space in '" + store.path() + "': found " + human_bytes(free) +
                                         ", needed " + human_bytes(need) +
                                         ": free some (holdall gc) or choose another --root");
  if (const std::uint64_t inodes = kInodeMargin + toc.entries.size(); status.f_files != 0 && status.f_favail < inodes)
    throw Error(ErrorKind::kStorage, "not enough inodes in '" + store.path() + "': found " +
                                         std::to_string(status.f_favail) + ", needed " + std::to_string(inodes) +
                                         ": remove files or choose another --root");
}

}  // namespace holdall::launcher
