#include "launcher/install.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "bundle/error.h"
#include "bundle/extract.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/model_digest.h"
#include "bundle/own_libc.h"
#include "bundle/temporary_name.h"
#include "launcher/install_record.h"
#include "launcher/interrupt.h"
#include "launcher/space.h"
#include "launcher/version_floor.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

// The embedded model's pinned digest against the files that the archive carries; their own digests are checked as they
// are written.
void check_model(const bundle::BundleInfo& info, const bundle::Toc& toc) {
  if (!info.model || info.model->external || info.model->digest.empty()) return;
  const std::string folder = info.model->path + "/";
  std::vector<std::pair<std::string, bundle::Digest>> files;
  for (const auto& entry : toc.entries)
    if (entry.type == bundle::EntryType::kRegular && entry.path.starts_with(folder))
      files.emplace_back(entry.path.substr(folder.size()), entry.digest);
  const bundle::Digest found = [&] {
    try {
      return bundle::model_digest(std::move(files));
    } catch (const Error& error) {
      throw Error(ErrorKind::kBadBundle, error.what());
    }
  }();
  if (found != bundle::parse_digest(info.model->digest))
    throw Error(ErrorKind::kBadBundle, "the model in '" + info.model->path + "' is not the pinned one: its digest is " +
                                           bundle::to_string(found) + ", pinned is " + info.model->digest);
}

bool in_use(const Place& release) {
  const FileDescriptor folder = open_folder(release);
  const FileDescriptor lease(::openat(folder.get(), ".lease", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return lease && ::flock(lease.get(), LOCK_EX | LOCK_NB) != 0;
}

// staging/<id>.<random>. Nothing of that name is left at the end: either it became a release or it is removed.
class Staging {
 public:
  Staging(const Store& store, const std::string& release)
      : disk_(store.disk()), staging_(open_folder({store.directory_fd(), "staging"})) {
    place_ = {staging_.get(), release + "." + bundle::random_name()};
    disk_.make_folder(place_, 0700);
    folder_ = open_folder(place_);
  }
  ~Staging() {
    try {
      disk_.remove_tree(place_);
      disk_.sync(staging_.get(), "staging");
    } catch (const Error&) {
      // Recovery removes it under the next lock.
    }
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  int folder() const { return folder_.get(); }
  const Place& place() const { return place_; }

 private:
  const Disk& disk_;
  FileDescriptor staging_, folder_;
  Place place_;
};

InstallRecord fill(const Staging& staging, const Store& store, const bundle::Reader& reader,
                   const InstallOptions& options, const InterruptGuard& interrupt) {
  const Disk& disk = store.disk();
  disk.make_folder({staging.folder(), "tree"}, 0700);
  const FileDescriptor tree = open_folder({staging.folder(), "tree"});
  bundle::ExtractOptions how;
  how.prefix = store.tree(reader.release_id());
  how.libc = options.libc;
  how.threads = options.threads;
  how.known = options.known;
  how.progress = options.progress;
  how.before_change = [&](std::string_view call, std::string_view path) {
    interrupt.check();
    if (disk.hook()) disk.hook()(call, path);
  };
  InstallRecord record;
  record.files = bundle::extract(reader, tree.get(), how);
  record.installed_at = std::time(nullptr);
  for (const auto& entry : reader.toc().entries)
    if (entry.type == bundle::EntryType::kSymlink) record.links.emplace_back(entry.path, entry.link_target);
  record.libc = options.libc;
  if (options.libc == bundle::LibcChoice::kBundled)
    for (auto& link : bundle::libc_links(*reader.info().requires_host.libc, reader.toc(), ""))
      record.links.emplace_back(std::move(link.path), std::move(link.target));
  for (const auto& entry : reader.toc().entries)
    if (entry.elf) record.originals[entry.path] = {entry.elf->original_size, entry.elf->original_digest};

  const auto toc = reader.toc_bytes();
  disk.write_file({staging.folder(), "toc"}, std::string_view(reinterpret_cast<const char*>(toc.data()), toc.size()));
  if (!options.release_json.empty()) disk.write_file({staging.folder(), "release.json"}, options.release_json);
  disk.write_file({staging.folder(), kInstallRecordName}, to_json(record));
  disk.write_file({staging.folder(), ".lease"}, "");
  disk.sync(staging.folder(), "staged release");
  interrupt.check();
  return record;
}

// Does a release that is there already run on what is wished for?
std::vector<std::string> libc_faults(const Place& release, const InstallOptions& options) {
  const bundle::LibcChoice found = read_install_record(open_folder(release)).libc;
  if (found == options.libc || (found == bundle::LibcChoice::kBundled && !options.libc_matters)) return {};
  return {std::string("it runs on the ") + libc_name(found) + " libc, not the " + libc_name(options.libc) + " one"};
}

// In a release that is there already, by one rename.
void put_beside(const Store& store, const Place& target, const std::string& name, std::string_view bytes) {
  const Disk& disk = store.disk();
  const Staging staging(store, target.name);
  disk.write_file({staging.folder(), name}, bytes);
  const FileDescriptor release = open_folder(target);
  disk.replace({staging.folder(), name}, {release.get(), name});
  disk.sync(release.get(), target.name);
}

// The table of contents may be damaged in a release that serves all the same.
void mend_toc(const Store& store, const Place& target, const bundle::Reader& reader) {
  const auto toc = reader.toc_bytes();
  const std::string_view bytes(reinterpret_cast<const char*>(toc.data()), toc.size());
  const FileDescriptor release = open_folder(target);
  const Place kept{release.get(), "toc"};
  if (!exists(kept) || read_file(kept, bundle::kMaxTocBytes) != bytes) put_beside(store, target, "toc", bytes);
}

}  // namespace

void require_installable(const bundle::Reader& reader) {
  const std::string_view folder = bundle::parent_of(bundle::parent_of(reader.toc().entries.front().path));
  if (folder.empty()) return;
  throw Error(ErrorKind::kBadBundle, "cannot install '" + reader.info().name +
                                         "': its archive keeps everything below '" + std::string(folder) +
                                         "': unpack it with holdall extract, or pack it again without --arcroot");
}

InstallResult install(Store& store, const StoreLock& held, const bundle::Reader& reader,
                      const InstallOptions& options) {
  require_installable(reader);
  const InterruptGuard interrupt;
  const std::string id = reader.release_id();
  const FileDescriptor releases = open_folder({store.directory_fd(), "releases"});
  const Place target{releases.get(), id};
  const bool present = exists(target);
  if (present) {
    auto faults = store.check_release(id, false);
    if (faults.empty()) faults = libc_faults(target, options);
    if (faults.empty()) {
      raise_version_floor(store, held, reader.info().name, options.min_version);
      mend_toc(store, target, reader);
      if (!options.release_json.empty()) put_beside(store, target, "release.json", options.release_json);
      return {.release = id, .reused = true, .bytes = 0};
    }
    if (in_use(target))
      throw Error(ErrorKind::kStorage, "release '" + id + "' cannot be reused and is in use: " + faults.front() +
                                           ": stop the service, then install again");
  }
  check_model(reader.info(), reader.toc());
  require_space(store, reader.toc(), options.known);

  const Disk& disk = store.disk();
  const Staging staging(store, id);
  const InstallRecord record = fill(staging, store, reader, options, interrupt);
  raise_version_floor(store, held, reader.info().name, options.min_version);
  if (present)
    disk.exchange(staging.place(), target);  // the damaged one goes with the staging folder
  else if (!disk.rename_new(staging.place(), target))
    throw Error(ErrorKind::kInternal, "release '" + id + "' appeared while the store was locked");
  disk.sync(releases.get(), "releases");
  return {.release = id, .reused = false, .bytes = record.bytes()};
}

}  // namespace holdall::launcher
