// Is a release on the disk what its installation wrote? Cheap by default: a file whose size and times are as recorded
// was not touched; only a file that differs is read. An edited ELF file may have been put back to its vendor's bytes;
// one that was relocated since is compared as packed. Links are compared with the record, too.
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <limits>
#include <map>
#include <span>

#include "bundle/error.h"
#include "bundle/limits.h"
#include "bundle/reader.h"
#include "bundle/relocation_list.h"
#include "bundle/safe_folder.h"
#include "launcher/install_record.h"
#include "launcher/relocatable_file.h"
#include "launcher/store.h"

namespace holdall::launcher {
namespace {

constexpr std::size_t kFaultsListed = 100;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bundle::Digest digest_of(const bundle::FileDescriptor& file, const std::string& path) {
  bundle::Sha256 hash;
  std::array<char, 256 * 1024> block;
  while (true) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw bundle::system_error(errno, "read", path);
    if (got == 0) return hash.finish();
    hash.update(std::as_bytes(std::span(block).first(static_cast<std::size_t>(got))));
  }
}

// What a moved tree knows of its own relocation, read when the first file differs.
class RelocatedTree {
 public:
  explicit RelocatedTree(const bundle::FileDescriptor& tree) : tree_(tree) {}

  // Whether the file is as its bundle packed it, but for the one prefix that holdall/prefix names. Several: a
  // relocation was interrupted, and the tree is whole only once that was ended.
  bool is_whole(const bundle::SafeFolder& files, const std::string& path) {
    try {
      if (!loaded_) load();
      const auto found = by_path_.find(path);
      if (found == by_path_.end()) return false;
      return RelocatableFile(*found->second, bundle::FileDescriptor(files.open_file(path)))
          .find_held(held_)
          .has_value();
    } catch (const bundle::Error&) {
      return false;
    }
  }

 private:
  void load() {
    loaded_ = true;
    const Place list{tree_.get(), std::string(bundle::kRelocationListPath)};
    const Place held{tree_.get(), std::string(bundle::kPrefixPath)};
    if (!exists(list) || !exists(held)) return;
    std::vector<std::string> prefixes = bundle::parse_prefix_lines(read_file(held, bundle::kLargestPrefixFile));
    if (prefixes.size() != 1) return;
    held_.emplace_back(std::move(prefixes.front()));
    list_ = bundle::parse_relocation_list(read_file(list, bundle::kMaxTocBytes));
    for (const bundle::RelocatedFile& file : list_.files) by_path_.emplace(file.path, &file);
  }

  const bundle::FileDescriptor& tree_;
  bool loaded_ = false;
  bundle::RelocationList list_;
  std::map<std::string_view, const bundle::RelocatedFile*> by_path_;
  std::vector<HeldPrefix> held_;
};

// What is wrong with one file; empty: nothing. One that the packer edited may also be as its vendor made it.
std::string fault_of(const bundle::SafeFolder& tree, const bundle::InstalledFile& recorded,
                     const OriginalFile* original, bool hash) {
  try {
    const bundle::FileDescriptor file(tree.open_file(recorded.path));
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return bundle::system_error(errno, "stat", recorded.path).what();
    if (!S_ISREG(status.st_mode)) return "'" + recorded.path + "': not a regular file";
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size != recorded.size && !(original != nullptr && size == original->size))
      return "'" + recorded.path + "': size is " + std::to_string(status.st_size) + ", installed were " +
             std::to_string(recorded.size);
    const bool touched =
        nanoseconds(status.st_mtim) != recorded.mtime_ns || nanoseconds(status.st_ctim) != recorded.ctime_ns;
    if (!hash && !touched && size == recorded.size) return {};
    const bundle::Digest found = digest_of(file, recorded.path);
    if (found != recorded.digest && !(original != nullptr && found == original->digest))
      return "'" + recorded.path + "': the contents differ from what was installed";
    return {};
  } catch (const bundle::Error& error) {
    return error.what();
  }
}

// The table of contents is kept for a later install to know what is there; a release's id ends with its digest.
std::string fault_of_toc(const bundle::FileDescriptor& folder, const std::string& release) {
  const bundle::FileDescriptor toc(::openat(folder.get(), "toc", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!toc) return "'toc' is missing";
  const std::string digest = bundle::to_hex(digest_of(toc, "toc")).substr(0, bundle::kReleaseDigits);
  return release.ends_with("-" + digest) ? "" : "'toc': the contents differ from what was installed";
}

}  // namespace

std::vector<std::string> Store::check_release(const std::string& release, bool hash_all) const {
  std::vector<std::string> messages;
  for (FileFault& fault : find_faults(release, hash_all, kFaultsListed)) messages.push_back(std::move(fault.message));
  return messages;
}

std::vector<FileFault> Store::faults_of(const std::string& release, bool hash_all) const {
  return find_faults(release, hash_all, std::numeric_limits<std::size_t>::max());
}

std::vector<FileFault> Store::find_faults(const std::string& release, bool hash_all, std::size_t most) const {
  const bundle::FileDescriptor folder = release_folder(release);
  std::vector<FileFault> faults;
  try {
    const InstallRecord record = read_install_record(folder);
    if (hash_all)
      if (std::string fault = fault_of_toc(folder, release); !fault.empty()) faults.push_back({"", std::move(fault)});
    const bundle::FileDescriptor tree = open_folder({folder.get(), "tree"});
    if (!tree) return {{"", "'tree' is missing"}};
    const bundle::SafeFolder files(tree.get(), bundle::available_resolver(tree.get()));
    RelocatedTree relocated(tree);
    for (const auto& recorded : record.files) {
      if (faults.size() == most) break;
      const auto original = record.originals.find(recorded.path);
      const OriginalFile* const other = original == record.originals.end() ? nullptr : &original->second;
      std::string fault = fault_of(files, recorded, other, hash_all);
      if (!fault.empty() && !relocated.is_whole(files, recorded.path))
        faults.push_back({recorded.path, std::move(fault)});
    }
    for (const auto& [path, target] : record.links) {
      if (faults.size() == most) break;
      if (read_link({tree.get(), path}) != target)
        faults.push_back({path, "'" + path + "': not the link that was installed"});
    }
  } catch (const bundle::Error& error) {
    faults.push_back({"", error.what()});
  }
  return faults;
}

}  // namespace holdall::launcher
