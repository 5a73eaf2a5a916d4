// The store of one service: releases, generations, and the switch between them. 05 of the design: "Install, activate,
// roll back, collect"; the layout and the order of operations are the contract, fsyncs included.
//
//   ROOT/<name>/ lock staging/ trash/ partial/ control
//                releases/<id>/{tree,toc,release.json,.lease}   gens/<n> → ../releases/<id>
//                current → gens/<n>   good → gens/<m>   state/{trial.<n>+3-0, good.<n>, bad.<n>,
//                min_version.<bundle>}
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/file_descriptor.h"
#include "bundle/relocation.h"
#include "launcher/disk.h"

namespace holdall::launcher {

struct Generation {
  std::uint64_t number = 0;
  std::string release;  // id
};

struct FileFault {
  std::string path;  // in the tree; empty: the release itself is damaged
  std::string message;
};

struct ReleaseSummary {
  std::string id, version;
  bool current = false, good = false;
  std::string state;              // "installed", "trial", "good", "bad"; "damaged": nothing below is known
  std::int64_t installed_at = 0;  // seconds since the epoch
  std::uint64_t files = 0, bytes = 0;
  bundle::LibcChoice libc = bundle::LibcChoice::kHost;
};

// Proof that the store's lock is held; released by the destructor. Covers store changes only, never a warm-up.
class StoreLock {
 public:
  explicit StoreLock(bundle::FileDescriptor fd) : fd_(std::move(fd)) {}

 private:
  bundle::FileDescriptor fd_;
};

class Store {
 public:
  // Opens ROOT/<name>, making it (0700) if `create`. Throws Error{kNotFound} if it is absent and not to be made,
  // Error{kStorage} if it belongs to another user or is group- or world-writable, or lies on NFS (unless allowed).
  struct OpenOptions {
    bool create = false;
    bool allow_network_filesystem = false;
    Disk::Hook before_change;  // called before each change to the disk; for tests
  };
  static Store open(const std::string& root, const std::string& name, const OpenOptions& options);

  const std::string& path() const { return path_; }
  int directory_fd() const { return directory_.get(); }
  const Disk& disk() const { return disk_; }

  // Waits up to `timeout`, then throws Error{kBusy} with the holder's pid. Recovery runs under the fresh lock: litter
  // goes, a dangling or unhealthy current becomes good, trials that are not current are dropped.
  StoreLock lock(std::chrono::milliseconds timeout);

  std::optional<Generation> current() const;
  std::optional<Generation> good() const;
  std::vector<ReleaseSummary> releases() const;
  std::string tree(const std::string& release) const;         // absolute path of the release's tree
  bundle::BundleInfo info(const std::string& release) const;  // of an installed release

  // The release a plain `rollback` goes to: that of the newest generation before the current one that passed its gate
  // and has another release. nullopt: nothing to go back to.
  std::optional<std::string> rollback_target() const;
  // The same, seen from any generation, and with its number.
  std::optional<Generation> good_before(const Generation& generation) const;

  // Makes `release` current as a new generation with three trials (or at once good, if it has no service). Durable when
  // it returns; the commit point is the rename of `current`. Throws Error{kNotFound} for an unknown release.
  Generation activate(const StoreLock& lock, const std::string& release);

  // Before a start of a generation without a passed gate: spends one trial, durably. False: none is left.
  bool spend_trial(const StoreLock& lock, std::uint64_t generation);
  bool passed_gate(std::uint64_t generation) const;

  // The gate was passed: state/good.<n>, then `good` → gens/<n>, then the trial goes.
  void mark_good(const StoreLock& lock, std::uint64_t generation);

  // The gate failed for good: current → good (if there is one), trial → bad.<n> with the reason. A generation that had
  // passed its gate loses that, and good goes back with current, to good_before() it. The generation that is current
  // afterwards, or nullopt.
  std::optional<Generation> mark_bad(const StoreLock& lock, std::uint64_t generation, const std::string& reason);

  // Is every file of the release as its install record says (size, mtime, ctime; a differing file is hashed)? The
  // faults, at most 100. `hash_all`: hash every file.
  std::vector<std::string> check_release(const std::string& release, bool hash_all) const;
  // The same with the paths, and all of them.
  std::vector<FileFault> faults_of(const std::string& release, bool hash_all) const;

  // A shared lease on a release, inherited by the service: gc leaves the release alone while any copy is open.
  bundle::FileDescriptor lease(const std::string& release) const;

 private:
  Store(std::string path, bundle::FileDescriptor directory, Disk disk)
      : path_(std::move(path)), directory_(std::move(directory)), disk_(std::move(disk)) {}
  Place at(const std::string& name) const { return {directory_.get(), name}; }
  std::optional<Generation> follow(const std::string& link) const;
  std::vector<FileFault> find_faults(const std::string& release, bool hash_all, std::size_t most) const;
  bundle::FileDescriptor find_release(const std::string& release) const;    // empty: none of this name
  bundle::FileDescriptor release_folder(const std::string& release) const;  // throws Error{kNotFound}
  void recover();
  void point(const std::string& link, std::uint64_t generation);

  std::string path_;
  bundle::FileDescriptor directory_;
  Disk disk_;
};

// $HOLDALL_ROOT, else $XDG_DATA_HOME/holdall, else $HOME/.local/share/holdall. Throws Error{kUsage} if none is known.
std::string default_root();

}  // namespace holdall::launcher
