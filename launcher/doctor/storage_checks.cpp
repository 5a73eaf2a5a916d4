#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/doctor/examination.h"

namespace holdall::launcher {
namespace {

// linux/magic.h and statfs(2). FUSE is not among them: overlays of rootless containers are FUSE and local.
struct Filesystem {
  std::uint32_t magic;
  const char* name;
};
constexpr Filesystem kNetworkFilesystems[] = {
    {0x6969, "NFS"},        {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},   {0x517B, "SMB"},
    {0x01021997, "9p"},     {0x5346414F, "AFS"},  {0x6B414653, "AFS"},    {0x00C36400, "Ceph"},
    {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"}, {0x19830326, "BeeGFS"}, {0x73757245, "Coda"},
};

// The folder itself or the nearest one above it that exists.
std::string existing_ancestor(std::string path) {
  struct stat status {};
  while (path.size() > 1 && ::stat(path.c_str(), &status) != 0) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    path.erase(slash == 0 ? 1 : slash);
  }
  return path.empty() ? "." : path;
}

Check check_space(const Examination& exam, const std::string& folder, const struct statvfs& filesystem) {
  Check check;
  check.id = "disk";
  check.source = folder;
  const std::uint64_t available = std::uint64_t{filesystem.f_bavail} * filesystem.f_frsize;
  check.found = format_bytes(available) + " free";
  const std::uint64_t unpacked = exam.info ? std::max(exam.info->requires_host.disk_bytes, exam.info->bytes) : 0;
  if (unpacked > 0) {
    // Blocks, the table of contents and the records of the install: 2 % and 16 MiB.
    const std::uint64_t need = unpacked + unpacked / 50 + (16u << 20);
    check.need = format_bytes(need);
    check.why = "the unpacked bundle has " + format_bytes(unpacked);
    if (available < need && exam.options.has_releases) {
      check.status = Status::kWarn;
      check.why += ", less what it shares with the releases that are installed";
    } else if (available < need) {
      check.status = Status::kFail;
      check.code = "E_DISK";
      check.fix = "free some space (holdall gc), or choose another disk with --root";
    }
  }
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    check.status = Status::kFail;
    check.code = "E_DISK";
    check.found = "no permission to write";
    check.fix = "choose a folder of yours with --root";
  }
  return check;
}

Check check_inodes(const Examination& exam, const std::string& folder, const struct statvfs& filesystem) {
  Check check;
  check.id = "inodes";
  check.source = folder;
  if (filesystem.f_files == 0) {  // btrfs and others make them as needed
    check.found = "no limit";
    return check;
  }
  check.found = std::to_string(filesystem.f_favail) + " free";
  if (exam.info && exam.info->files > 0) {
    const std::uint64_t need = exam.info->files + exam.info->files / 8 + 64;  // folders and records too
    check.need = std::to_string(need);
    check.why = "the bundle has " + std::to_string(exam.info->files) + " files";
    if (filesystem.f_favail < need && exam.options.has_releases) {
      check.status = Status::kWarn;
    } else if (filesystem.f_favail < need) {
      check.status = Status::kFail;
      check.code = "E_DISK";
      check.fix = "remove files (holdall gc), or choose another disk with --root";
    }
  }
  return check;
}

Check check_exec(const std::string& folder, const struct statvfs& filesystem) {
  Check check;
  check.id = "exec";
  check.source = folder;
  check.found = "programs may be executed";
  if (filesystem.f_flag & ST_NOEXEC) {
    check.status = Status::kFail;
    check.code = "E_NOEXEC";
    check.found = "mounted noexec";
    check.need = "a disk from which programs may be executed";
    check.why = "the bundle's programs run from the store";
    check.fix = "choose another disk with --root; admin: mount -o remount,exec";
  }
  return check;
}

Check check_filesystem(const Examination& exam, const std::string& folder) {
  struct statfs filesystem {};
  if (::statfs(folder.c_str(), &filesystem) != 0)
    return {.id = "filesystem", .status = Status::kSkip, .source = folder};
  Check check = judge_filesystem(static_cast<std::uint32_t>(filesystem.f_type), exam.options);
  check.source = folder;
  return check;
}

}  // namespace

Check judge_filesystem(std::uint32_t type, const DoctorOptions& options) {
  Check check{.id = "filesystem", .found = "local"};
  for (const Filesystem& network : kNetworkFilesystems) {
    if (type != network.magic) continue;
    check.status = options.allow_network_filesystem ? Status::kWarn : Status::kFail;
    check.code = "E_NETWORK_FS";
    check.found = network.name;
    check.need = "a local filesystem";
    check.why = "locks and durable renames are not reliable over a network";
    check.fix = "choose a local disk with --root, or accept the risk with --allow-network-filesystem";
  }
  return check;
}

std::vector<Check> check_storage(const Examination& exam) {
  Check skipped;
  skipped.id = "disk";
  skipped.status = Status::kSkip;
  skipped.found = exam.host.captured() ? "cannot be captured" : "no store was named";
  if (exam.host.captured() || exam.options.root.empty()) return {skipped};
  const std::string folder = existing_ancestor(exam.options.root);
  struct statvfs filesystem {};
  if (::statvfs(folder.c_str(), &filesystem) != 0) {
    skipped.found = "cannot examine '" + folder + "'";
    return {skipped};
  }
  return {check_space(exam, folder, filesystem), check_inodes(exam, folder, filesystem), check_exec(folder, filesystem),
          check_filesystem(exam, folder)};
}

}  // namespace holdall::launcher
