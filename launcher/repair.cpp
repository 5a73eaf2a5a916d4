#include "launcher/repair.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <set>

#include "bundle/error.h"
#include "bundle/extract.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/pack_toc.h"
#include "bundle/relocation_list.h"
#include "bundle/temporary_name.h"
#include "launcher/install_record.h"
#include "launcher/interrupt.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

// All but some chunks counts as known, so that only these are fetched; what can be read is what is installed.
class AllBut : public bundle::KnownContent {
 public:
  AllBut(std::set<bundle::Digest> wanted, const InstalledContent& installed)
      : wanted_(std::move(wanted)), installed_(installed) {}
  bool names(const bundle::Digest& chunk) const override { return !wanted_.contains(chunk) || installed_.names(chunk); }
  bool read(const bundle::Digest& chunk, std::span<std::byte> out) const override {
    return installed_.read(chunk, out);
  }
  FileDescriptor open_whole(const bundle::Digest& file, std::uint64_t size) const override {
    return installed_.open_whole(file, size);
  }

 private:
  const std::set<bundle::Digest> wanted_;
  const InstalledContent& installed_;
};

[[noreturn]] void refuse(const std::string& release, const std::string& why) {
  throw Error(ErrorKind::kStorage, "cannot repair '" + release + "': " + why + ": install it again");
}

class Repair {
 public:
  Repair(Store& store, const StoreLock& held, const std::string& release)
      : store_(store), disk_(store.disk()), id_(release), installed_(store, held) {
    const FileDescriptor releases = open_folder({store.directory_fd(), "releases"});
    release_ = open_folder({releases.get(), release});
    tree_ = open_folder({release_.get(), "tree"});
    if (!tree_) refuse(id_, "its tree is missing");
  }

  ~Repair() {
    if (staged_name_.empty()) return;
    try {
      const FileDescriptor staging = open_folder({store_.directory_fd(), "staging"});
      disk_.remove_tree({staging.get(), staged_name_});
      disk_.sync(staging.get(), "staging");
    } catch (const Error&) {
      // Recovery removes it under the next lock.
    }
  }
  Repair(const Repair&) = delete;
  Repair& operator=(const Repair&) = delete;

  std::vector<std::string> run(const Source& source, const RepairOptions& options) {
    std::set<std::string> broken;
    for (const FileFault& fault : store_.faults_of(id_, true)) {
      if (fault.path.empty()) refuse(id_, fault.message);
      broken.insert(fault.path);
    }
    if (broken.empty()) return {};
    const std::string toc = read_file({release_.get(), "toc"}, bundle::kMaxTocBytes);
    const bundle::Digest digest = bundle::sha256(std::as_bytes(std::span(toc)));
    const AllBut known(chunks_of(bundle::unpack_toc(std::as_bytes(std::span(toc))), broken), installed_);
    SpoolLimits limits{.max_bytes = 0, .signed_bytes = {}, .resumable = false, .fetched = options.fetched};
    limits.known = &known;
    limits.accept = [&](const bundle::Reader& archive) {
      if (archive.toc_digest() != digest)
        throw Error(ErrorKind::kBadBundle, "cannot repair '" + id_ + "' from '" + source.given() + "': that is " +
                                               archive.release_id() + ": give the archive that it was installed from");
    };
    const bundle::Reader reader = source.reader(store_.path() + "/partial", limits);
    limits.accept(reader);
    replace(unpack(reader, broken, known, options), broken, reader.toc());
    return {broken.begin(), broken.end()};
  }

 private:
  static std::set<bundle::Digest> chunks_of(const bundle::Toc& toc, const std::set<std::string>& paths) {
    std::set<bundle::Digest> chunks;
    for (const bundle::Entry& entry : toc.entries)
      if (paths.contains(entry.path))
        for (const bundle::Chunk& chunk : entry.chunks) chunks.insert(chunk.digest);
    return chunks;
  }

  // What the other files of the tree hold.
  std::string prefix() const {
    const FileDescriptor own = open_folder({tree_.get(), "holdall"});
    const std::string name(bundle::kPrefixPath.substr(bundle::kPrefixPath.rfind('/') + 1));
    if (!own || !exists({own.get(), name})) return store_.tree(id_);
    const auto prefixes = bundle::parse_prefix_lines(read_file({own.get(), name}, bundle::kLargestPrefixFile));
    if (prefixes.size() != 1) refuse(id_, "its relocation was interrupted");
    return prefixes.front();
  }

  std::vector<bundle::InstalledFile> unpack(const bundle::Reader& reader, const std::set<std::string>& paths,
                                            const bundle::KnownContent& known, const RepairOptions& options) {
    const FileDescriptor staging = open_folder({store_.directory_fd(), "staging"});
    const Place place{staging.get(), id_ + "." + bundle::random_name()};
    staged_name_ = place.name;
    disk_.make_folder(place, 0700);
    staged_ = open_folder(place);
    bundle::ExtractOptions how;
    how.prefix = prefix();
    how.libc = read_install_record(release_).libc;
    how.known = &known;
    how.progress = options.unpacked;
    how.wanted = [&](const bundle::Entry& entry) { return paths.contains(entry.path); };
    how.before_change = [this](std::string_view call, std::string_view path) {
      interrupt_.check();
      if (disk_.hook()) disk_.hook()(call, path);
    };
    return bundle::extract(reader, staged_.get(), how);
  }

  // The open folder of `path`; made where it is gone.
  FileDescriptor parent(const FileDescriptor& root, const std::string& path) const {
    const std::string folder(bundle::parent_of(path));
    const bundle::SafeFolder files(root.get(), bundle::available_resolver(root.get()));
    if (folder.empty()) return FileDescriptor(::fcntl(root.get(), F_DUPFD_CLOEXEC, 0));
    try {
      return FileDescriptor(files.open_folder(folder));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kNotFound) throw;
    }
    const FileDescriptor above = parent(root, folder);
    const Place place{above.get(), folder.substr(folder.rfind('/') + 1)};
    disk_.make_folder(place, 0755);
    disk_.sync(above.get(), folder);
    return open_folder(place);
  }

  void replace(const std::vector<bundle::InstalledFile>& files, const std::set<std::string>& paths,
               const bundle::Toc& toc) {
    InstallRecord record = read_install_record(release_);
    std::map<std::string_view, const bundle::InstalledFile*> fresh;
    for (const bundle::InstalledFile& file : files) fresh.emplace(file.path, &file);
    std::map<std::string_view, bundle::InstalledFile*> recorded;
    for (bundle::InstalledFile& file : record.files)
      if (paths.contains(file.path)) recorded.emplace(file.path, &file);
    std::set<std::string_view> members;
    for (const bundle::Entry& entry : toc.entries) {
      if (!paths.contains(entry.path)) continue;
      members.insert(entry.path);
      const std::string name = entry.path.substr(entry.path.rfind('/') + 1);
      const FileDescriptor from = parent(staged_, entry.path), to = parent(tree_, entry.path);
      struct stat status {};
      if (::fstatat(to.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
        disk_.remove_tree({to.get(), name});
      disk_.replace({from.get(), name}, {to.get(), name});
      disk_.sync(to.get(), entry.path);
      if (entry.type != bundle::EntryType::kRegular) continue;
      const auto made = fresh.find(entry.path);
      const auto known = recorded.find(entry.path);
      if (made != fresh.end() && known != recorded.end()) *known->second = with_times_of(*made->second, to, name);
    }
    for (const auto& [path, target] : record.links) {  // to the bundle's libc: no member has them
      if (!paths.contains(path) || members.contains(path)) continue;
      const FileDescriptor folder = parent(tree_, path);
      const Place link{folder.get(), path.substr(path.rfind('/') + 1)};
      disk_.remove_tree(link);
      disk_.make_link(target, link);
      disk_.sync(folder.get(), path);
    }
    const Place written{staged_.get(), kInstallRecordName};
    disk_.remove_tree(written);
    disk_.write_file(written, to_json(record));
    disk_.replace(written, {release_.get(), kInstallRecordName});
    disk_.sync(release_.get(), id_);
  }

  // A rename is a change to the file, too.
  static bundle::InstalledFile with_times_of(bundle::InstalledFile file, const FileDescriptor& folder,
                                             const std::string& name) {
    struct stat status {};
    if (::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      throw bundle::system_error(errno, "stat", file.path);
    file.ctime_ns = std::int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec;
    return file;
  }

  Store& store_;
  const Disk& disk_;
  const std::string id_;
  const InstalledContent installed_;
  const InterruptGuard interrupt_;
  std::string staged_name_;  // in staging/
  FileDescriptor release_, tree_, staged_;
};

}  // namespace

std::vector<std::string> repair(Store& store, const StoreLock& held, const std::string& release, const Source& source,
                                const RepairOptions& options) {
  return Repair(store, held, release).run(source, options);
}

}  // namespace holdall::launcher
