#include "launcher/store.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <system_error>
#include <thread>

#include "bundle/error.h"
#include "bundle/file_io.h"
#include "bundle/reader.h"
#include "launcher/generations.h"
#include "launcher/install_record.h"
#include "launcher/interrupt.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using bundle::system_error;

constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestRelease = 64 + 1 + 64 + 1 + bundle::kReleaseDigits;
constexpr std::size_t kLargestBundleInfo = std::size_t{1} << 20;

void check_owner(const FileDescriptor& folder, const std::string& path) {
  struct stat status {};
  if (::fstat(folder.get(), &status) != 0) throw system_error(errno, "stat", path);
  if (status.st_uid != ::geteuid())
    throw Error(ErrorKind::kStorage, "cannot use the store '" + path + "': it belongs to user " +
                                         std::to_string(status.st_uid) + ", not to user " +
                                         std::to_string(::geteuid()));
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw Error(ErrorKind::kStorage,
                "cannot use the store '" + path + "': others may write to it: run chmod go-w '" + path + "'");
}

void check_filesystem(const FileDescriptor& folder, const std::string& path) {
  struct statfs status {};
  if (::fstatfs(folder.get(), &status) != 0) throw system_error(errno, "stat the filesystem of", path);
  const auto type = static_cast<std::uint32_t>(status.f_type);
  if (type == NFS_SUPER_MAGIC || type == CIFS_SUPER_MAGIC || type == SMB2_SUPER_MAGIC || type == SMB_SUPER_MAGIC)
    throw Error(ErrorKind::kStorage, "cannot use the store '" + path +
                                         "': it lies on a network filesystem, where locks and renames are not safe: "
                                         "choose a local --root or give --allow-network-filesystem");
}

std::string state_of(const Generations& generations, const std::string& release) {
  std::string state = "installed";
  for (const auto& [number, held] : generations.releases) {
    if (held != release) continue;
    if (generations.bad.contains(number))
      state = "bad";
    else if (generations.good.contains(number))
      state = "good";
    else if (generations.trials.contains(number))
      state = "trial";
  }
  return state;
}

}  // namespace

Store Store::open(const std::string& root, const std::string& name, const OpenOptions& options) {
  if (!is_plain_name(name, kLongestName))
    throw Error(ErrorKind::kUsage, "'" + name + "' is not a service name: letters, digits and ._+- are allowed");
  const std::string path = (std::filesystem::absolute(root) / name).lexically_normal().string();
  if (options.create) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    if (error) throw system_error(error.value(), "make folder", root);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) throw system_error(errno, "make folder", path);
  }
  FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno == ENOENT)
    throw Error(ErrorKind::kNotFound, "'" + name + "' is not installed in '" + root + "'");
  if (!folder) throw system_error(errno, "open the store", path);
  check_owner(folder, path);
  if (!options.allow_network_filesystem) check_filesystem(folder, path);
  return Store(path, std::move(folder), Disk(options.before_change));
}

StoreLock Store::lock(std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const InterruptGuard interrupt;
  FileDescriptor file(::openat(directory_.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) throw system_error(errno, "open", path_ + "/lock");
  for (const auto deadline = Clock::now() + timeout; ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw system_error(errno, "lock", path_ + "/lock");
    if (Clock::now() >= deadline) {
      std::string holder = read_file(at("lock"), 64);
      while (!holder.empty() && holder.back() == '\n') holder.pop_back();
      throw Error(ErrorKind::kBusy, "another holdall works on '" + path_ + "': pid " +
                                        (holder.empty() ? "unknown" : holder) +
                                        ": try again later or give --lock-timeout");
    }
    interrupt.check();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::string pid = std::to_string(::getpid());
  pid.resize(11, '\n');  // always as long, so that a full disk has room for the next one
  if (!bundle::pwrite_all(file.get(), std::as_bytes(std::span(pid)), 0))
    throw system_error(errno, "write", path_ + "/lock");
  StoreLock held(std::move(file));
  recover();
  interrupt.check();
  return held;
}

FileDescriptor Store::find_release(const std::string& release) const {
  if (!is_plain_name(release, kLongestRelease)) return {};
  const FileDescriptor releases = open_folder(at("releases"));
  return releases ? open_folder({releases.get(), release}) : FileDescriptor();
}

FileDescriptor Store::release_folder(const std::string& release) const {
  FileDescriptor folder = find_release(release);
  if (!folder) throw Error(ErrorKind::kNotFound, "no release '" + release + "' is installed: holdall ls lists them");
  return folder;
}

std::optional<Generation> Store::follow(const std::string& link) const {
  const auto number = parse_number(read_link(at(link)), "gens/");
  if (!number) return std::nullopt;
  const Generations generations = read_generations(directory_.get());
  const auto found = generations.releases.find(*number);
  if (found == generations.releases.end() || !find_release(found->second)) return std::nullopt;
  return Generation{*number, found->second};
}

std::optional<Generation> Store::current() const {
  return follow("current");
}
std::optional<Generation> Store::good() const {
  return follow("good");
}

std::string Store::tree(const std::string& release) const {
  return path_ + "/releases/" + release + "/tree";
}

std::vector<ReleaseSummary> Store::releases() const {
  const Generations generations = read_generations(directory_.get());
  const auto now = current(), last_good = good();
  std::vector<ReleaseSummary> summaries;
  for (const std::string& id : names_in(at("releases"))) {
    ReleaseSummary summary;
    summary.id = id;
    summary.current = now && now->release == id;
    summary.good = last_good && last_good->release == id;
    try {
      const FileDescriptor folder = find_release(id);
      if (!folder) continue;
      summary.version = info(id).version;
      const InstallRecord record = read_install_record(folder);
      summary.state = state_of(generations, id);
      summary.installed_at = record.installed_at;
      summary.libc = record.libc;
      summary.files = record.files.size();
      summary.bytes = record.bytes();
    } catch (const Error&) {  // one that is broken does not hide the others
      summary.state = "damaged";
    }
    summaries.push_back(std::move(summary));
  }
  return summaries;
}

bundle::BundleInfo Store::info(const std::string& release) const {
  const FileDescriptor folder = release_folder(release);
  const FileDescriptor tree = open_folder({folder.get(), "tree"});
  const FileDescriptor own = tree ? open_folder({tree.get(), "holdall"}) : FileDescriptor();
  if (!own) throw Error(ErrorKind::kStorage, "release '" + release + "' is damaged: it has no holdall/bundle.json");
  return bundle::parse_bundle_info(read_file({own.get(), "bundle.json"}, kLargestBundleInfo));
}

std::optional<std::string> Store::rollback_target() const {
  const auto now = current();
  const auto before = now ? good_before(*now) : std::nullopt;
  return before ? std::optional(before->release) : std::nullopt;
}

std::optional<Generation> Store::good_before(const Generation& generation) const {
  const Generations generations = read_generations(directory_.get());
  for (auto item = generations.releases.rbegin(); item != generations.releases.rend(); ++item) {
    const auto& [number, release] = *item;
    if (number < generation.number && release != generation.release && generations.good.contains(number) &&
        find_release(release))
      return Generation{number, release};
  }
  return std::nullopt;
}

FileDescriptor Store::lease(const std::string& release) const {
  const FileDescriptor folder = release_folder(release);
  FileDescriptor file(::openat(folder.get(), ".lease", O_RDONLY | O_NOFOLLOW));
  if (!file) throw system_error(errno, "open", release + "/.lease");
  if (::flock(file.get(), LOCK_SH | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) throw Error(ErrorKind::kBusy, "release '" + release + "' is being collected");
    throw system_error(errno, "lock", release + "/.lease");
  }
  // gc may have moved it to the trash between opening and locking.
  struct stat leased {
  }, named{};
  const FileDescriptor again = release_folder(release);
  if (::fstat(folder.get(), &leased) != 0 || ::fstat(again.get(), &named) != 0 || leased.st_ino != named.st_ino)
    throw Error(ErrorKind::kNotFound, "release '" + release + "' was collected just now");
  return file;
}

std::string default_root() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (std::string root = variable("HOLDALL_ROOT"); !root.empty()) return root;
  if (const std::string data = variable("XDG_DATA_HOME"); data.starts_with('/')) return data + "/holdall";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.local/share/holdall";
  throw Error(ErrorKind::kUsage, "no folder for the store is known: give --root or set HOLDALL_ROOT");
}

}  // namespace holdall::launcher
