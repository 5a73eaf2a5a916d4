#include "launcher/relocate.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "bundle/error.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"
#include "bundle/own_libc.h"
#include "bundle/prefix_check.h"
#include "bundle/relocation_list.h"
#include "bundle/safe_folder.h"
#include "bundle/syncfs.h"
#include "launcher/disk.h"
#include "launcher/relocatable_file.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;
using bundle::system_error;

constexpr const char* kOwnFolder = "holdall";
constexpr const char* kStagingName = "relocating";  // in kOwnFolder
constexpr const char* kFreshPrefix = "prefix.new";  // likewise
constexpr std::size_t kFilesListed = 20;

std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

class TreeRelocation {
 public:
  TreeRelocation(const std::string& folder, const RelocateOptions& options)
      : options_(options),
        disk_(options.before_change ? Disk(options.before_change) : Disk()),
        root_(launcher::open_folder({AT_FDCWD, folder})),
        own_(root_ ? launcher::open_folder({root_.get(), kOwnFolder}) : FileDescriptor()) {
    if (!own_ || !exists({own_.get(), "bundle.json"}))
      throw Error(ErrorKind::kNotFound, "'" + folder + "' is no unpacked bundle: it has no 'holdall/bundle.json'");
    // Two at once would mix their copies.
    if (::flock(own_.get(), LOCK_EX | LOCK_NB) != 0)
      throw Error(ErrorKind::kBusy, "'" + folder + "' is being relocated by another holdall: wait for it");
  }

  RelocateResult run() {
    load();
    examine();
    if (!changes_.empty()) {
      try {
        stage();
      } catch (...) {
        disk_.remove_tree({own_.get(), kStagingName});
        throw;
      }
      switch_over();
    }
    settle();
    link_host();
    link_libc();
    result_.libc = wanted_libc_;
    return std::move(result_);
  }

 private:
  struct Change {
    const bundle::RelocatedFile* file = nullptr;
    HeldPrefix held;
  };
  struct LibcLink {
    FileDescriptor folder;
    std::string name, target;
  };

  bundle::SafeFolder tree() const { return {root_.get(), resolver_}; }

  std::optional<std::string> own_file(std::string_view path, std::size_t limit) const {
    const Place place{own_.get(), name_of(path)};
    if (!exists(place)) return std::nullopt;
    return read_file(place, limit);
  }

  void load() {
    if (const auto list = own_file(bundle::kRelocationListPath, bundle::kMaxTocBytes))
      list_ = bundle::parse_relocation_list(*list);
    if (const auto held = own_file(bundle::kPrefixPath, bundle::kLargestPrefixFile))
      recorded_ = bundle::parse_prefix_lines(*held);
    result_.files = list_.files.size();
    choose_libc();
  }

  void choose_libc() {
    using bundle::LibcChoice;
    const bool has_room = std::ranges::any_of(list_.files, [](const bundle::RelocatedFile& file) {
      return std::ranges::find(file.records, bundle::RelocationKind::kInterpreter, &bundle::Relocation::kind) !=
             file.records.end();
    });
    std::optional<bundle::BundleInfo> info;
    if (has_room) info = bundle::parse_bundle_info(own_file("bundle.json", bundle::kMaxInfoBytes).value_or(""));
    if (info) libc_ = info->requires_host.libc;
    if (libc_) find_libc_links();
    const bool own = std::ranges::any_of(libc_links_, [&](const LibcLink& link) { return is_there(link); });
    if (options_.prefix && options_.choose_libc)
      wanted_libc_ = options_.choose_libc(libc_ ? &*info : nullptr, own ? LibcChoice::kBundled : LibcChoice::kHost);
  }

  // Reads everything and changes nothing.
  void examine() {
    std::vector<HeldPrefix> candidates(recorded_.rbegin(), recorded_.rend());
    candidates.emplace_back();  // as packed
    bundle::PrefixCheck check(options_.prefix.value_or("/"), wanted_libc_);
    std::vector<std::string> changed;
    std::set<std::string> folders;
    for (const bundle::RelocatedFile& record : list_.files) {
      if (options_.check) options_.check();
      const auto file = open(record);
      if (!file) {
        result_.skipped.push_back(record.path);
        continue;
      }
      const auto held = file->find_held(candidates);
      if (!held) {
        (options_.changed_files == ChangedFiles::kSkip ? result_.skipped : changed).push_back(record.path);
        continue;
      }
      if (options_.prefix) {
        check.add({record.path, record.executable, record.records},
                  [&] { return file->packed_head(*held, bundle::kScriptHead); });
      }
      const bool right_libc = !file->has_loader_room() || file->libc() == wanted_libc_;
      if (right_libc && (*held == options_.prefix || !holds_prefix(record))) continue;
      changes_.push_back({&record, *held});
      folders.emplace(bundle::parent_of(record.path));
    }
    for (const bundle::HostLink& link : list_.links) {
      try {
        static_cast<void>(parent(std::string(bundle::parent_of(link.path))));
        links_.push_back(&link);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kNotFound) throw;
        if (options_.prefix) result_.skipped.push_back(link.path);  // its folder is gone
      }
    }
    if (!changed.empty()) refuse(changed);
    if (options_.prefix) check.require();
    for (const std::string& folder : folders) {
      if (::faccessat(parent(folder).get(), ".", W_OK | X_OK, AT_EACCESS) != 0)
        throw system_error(errno, "replace files in", folder.empty() ? "." : folder);
    }
  }

  // A program that has nothing but room for a loader's path is as packed while it runs on the host's libc.
  bool holds_prefix(const bundle::RelocatedFile& record) const {
    return wanted_libc_ == bundle::LibcChoice::kBundled ||
           std::ranges::any_of(record.records, [](const bundle::Relocation& item) {
             return item.kind != bundle::RelocationKind::kInterpreter;
           });
  }

  // nullopt: it is not there.
  std::optional<RelocatableFile> open(const bundle::RelocatedFile& record) const {
    try {
      return RelocatableFile(record, FileDescriptor(tree().open_file(record.path)));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kNotFound) return std::nullopt;
      throw;
    }
  }

  FileDescriptor parent(const std::string& folder) const {
    return folder.empty() ? FileDescriptor(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0))
                          : FileDescriptor(tree().open_folder(folder));
  }

  [[noreturn]] static void refuse(const std::vector<std::string>& changed) {
    std::string message =
        std::to_string(changed.size()) +
        " files are not as they were unpacked, so their paths cannot be replaced (restore them, or leave "
        "them as they are with --skip-changed):";
    for (std::size_t i = 0; i < std::min(changed.size(), kFilesListed); ++i) message += "\n  " + changed[i];
    if (changed.size() > kFilesListed) message += "\n  and " + std::to_string(changed.size() - kFilesListed) + " more";
    throw Error(ErrorKind::kBadBundle, message);
  }

  // The copies, none of them in its place yet.
  void stage() {
    disk_.remove_tree({own_.get(), kStagingName});
    disk_.make_folder({own_.get(), kStagingName}, 0700);
    staging_ = launcher::open_folder({own_.get(), kStagingName});
    const bool together = bundle::syncfs_suits(changes_.size());
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      if (options_.check) options_.check();
      const auto& [record, held] = changes_[i];
      const auto file = open(*record);
      if (!file) throw Error(ErrorKind::kBadBundle, "'" + record->path + "' went away while it was relocated");
      if (disk_.hook()) disk_.hook()("write", record->path);
      const FileDescriptor copy(
          ::openat(staging_.get(), std::to_string(i).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (!copy) throw system_error(errno, "create a copy of", record->path);
      file->write_with(held, {options_.prefix, wanted_libc_}, copy.get());
      if (!together) disk_.sync(copy.get(), record->path);
    }
    if (!together) return;
    if (disk_.hook()) disk_.hook()("syncfs", ".");
    if (::syncfs(root_.get()) != 0) throw system_error(errno, "sync", ".");
  }

  // From here on files may hold any of several prefixes, which is recorded first. What follows is a few names, which
  // filesystems with a journal keep in order.
  void switch_over() {
    std::vector<std::string> possible = recorded_;
    if (options_.prefix && std::ranges::find(possible, *options_.prefix) == possible.end())
      possible.push_back(*options_.prefix);
    if (!possible.empty()) record(possible);
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      const std::string& path = changes_[i].file->path;
      const FileDescriptor folder = parent(std::string(bundle::parent_of(path)));
      disk_.replace({staging_.get(), std::to_string(i)}, {folder.get(), name_of(path)});
      ++result_.changed;
    }
  }

  void settle() {
    const std::vector<std::string> wanted =
        options_.prefix && !list_.files.empty() ? std::vector{*options_.prefix} : std::vector<std::string>{};
    if (wanted != recorded_ || !changes_.empty()) {
      if (wanted.empty()) {
        disk_.remove({own_.get(), name_of(bundle::kPrefixPath)});
      } else {
        record(wanted);
      }
      disk_.sync(own_.get(), kOwnFolder);
    }
    for (const char* const litter : {kStagingName, kFreshPrefix})  // of a relocation that was killed, or of this one
      if (exists({own_.get(), litter})) disk_.remove_tree({own_.get(), litter});
  }

  // Links to programs of the host are no part of what was packed.
  void link_host() {
    for (const bundle::HostLink* const link : links_) {
      const FileDescriptor folder = parent(std::string(bundle::parent_of(link->path)));
      const Place place{folder.get(), name_of(link->path)};
      const bool ours = read_link(place) == link->target;
      if (!options_.prefix && ours) {
        disk_.remove(place);
      } else if (options_.prefix && !exists(place)) {
        disk_.make_link(link->target, place);
      } else if (options_.prefix && !ours) {
        result_.skipped.push_back(link->path);
      }
    }
  }

  void find_libc_links() {
    const FileDescriptor root = parent("");
    const auto names = names_in({root.get(), std::string(bundle::parent_of(libc_->interpreter))});
    for (bundle::TreeLink& link : bundle::libc_links(*libc_, names)) {
      try {
        auto folder = parent(std::string(bundle::parent_of(link.path)));
        libc_links_.push_back({std::move(folder), name_of(link.path), std::move(link.target)});
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kNotFound) throw;  // a folder that is gone, as what looked into it
      }
    }
  }

  static bool is_there(const LibcLink& link) { return read_link({link.folder.get(), link.name}) == link.target; }

  // To the bundle's C library, only while its programs run on it.
  void link_libc() const {
    for (const LibcLink& link : libc_links_) {
      const Place place{link.folder.get(), link.name};
      if (wanted_libc_ == bundle::LibcChoice::kBundled && !exists(place)) disk_.make_link(link.target, place);
      if (wanted_libc_ == bundle::LibcChoice::kHost && is_there(link)) disk_.remove(place);
    }
  }

  void record(const std::vector<std::string>& prefixes) {
    const Place fresh{own_.get(), kFreshPrefix};
    disk_.remove(fresh);
    disk_.write_file(fresh, bundle::prefix_lines(prefixes));
    if (::fchmodat(own_.get(), fresh.name.c_str(), 0644, 0) != 0)
      throw system_error(errno, "set the mode of", fresh.name);
    disk_.replace(fresh, {own_.get(), name_of(bundle::kPrefixPath)});
  }

  const RelocateOptions& options_;
  const Disk disk_;
  const FileDescriptor root_, own_;
  const bundle::Resolver resolver_ = bundle::available_resolver(root_.get());
  FileDescriptor staging_;
  bundle::RelocationList list_;
  std::optional<bundle::BundledLibc> libc_;  // that programs of the tree have room for
  std::vector<LibcLink> libc_links_;         // whose folders are there
  bundle::LibcChoice wanted_libc_ = bundle::LibcChoice::kHost;
  std::vector<std::string> recorded_;  // what holdall/prefix says
  std::vector<Change> changes_;
  std::vector<const bundle::HostLink*> links_;  // whose folders are there
  RelocateResult result_;
};

}  // namespace

RelocateResult relocate_tree(const std::string& folder, const RelocateOptions& options) {
  return TreeRelocation(folder, options).run();
}

}  // namespace holdall::launcher
