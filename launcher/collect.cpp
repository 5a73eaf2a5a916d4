#include "launcher/collect.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <set>

#include "bundle/error.h"
#include "bundle/temporary_name.h"
#include "launcher/generations.h"
#include "launcher/install_record.h"

namespace holdall::launcher {
namespace {

std::set<std::string> roots(const Store& store, const Generations& generations, const CollectOptions& options) {
  std::set<std::string> kept, activated, last;
  if (const auto current = store.current()) kept.insert(current->release);
  if (const auto good = store.good()) kept.insert(good->release);
  for (auto item = generations.releases.rbegin(); item != generations.releases.rend(); ++item) {
    const auto& [number, release] = *item;
    activated.insert(release);
    if (generations.trials.contains(number)) kept.insert(release);
    // A generation that failed its gate is nothing to go back to.
    if (!generations.bad.contains(number) && last.size() < options.keep) last.insert(release);
  }
  kept.merge(last);
  if (!options.unused)
    for (const std::string& release : names_in({store.directory_fd(), "releases"}))
      if (!activated.contains(release)) kept.insert(release);
  return kept;
}

// The lease, exclusively; empty: a service holds it.
bundle::FileDescriptor try_lease(const bundle::FileDescriptor& release) {
  bundle::FileDescriptor lease(::openat(release.get(), ".lease", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!lease && errno == ENOENT) return bundle::FileDescriptor(::fcntl(release.get(), F_DUPFD_CLOEXEC, 0));
  if (!lease) throw bundle::system_error(errno, "open", ".lease");
  if (::flock(lease.get(), LOCK_EX | LOCK_NB) == 0) return lease;
  if (errno != EWOULDBLOCK) throw bundle::system_error(errno, "lock", ".lease");
  return {};
}

std::uint64_t bytes_of(const bundle::FileDescriptor& release) {
  try {
    return read_install_record(release).bytes();
  } catch (const bundle::Error&) {
    return 0;  // a damaged record does not keep a release from being collected
  }
}

}  // namespace

std::vector<Collected> collect(Store& store, const StoreLock& /*held*/, const CollectOptions& options) {
  const Disk& disk = store.disk();
  const int root = store.directory_fd();
  const Generations generations = read_generations(root);
  const std::set<std::string> kept = roots(store, generations, options);
  const bundle::FileDescriptor releases = open_folder({root, "releases"}), trash = open_folder({root, "trash"}),
                               gens = open_folder({root, "gens"}), state = open_folder({root, "state"});
  std::vector<Collected> collected;
  for (const std::string& release : names_in({root, "releases"})) {
    if (kept.contains(release)) continue;
    const bundle::FileDescriptor folder = open_folder({releases.get(), release});
    const bundle::FileDescriptor lease = try_lease(folder);
    if (!lease) continue;
    collected.push_back({release, bytes_of(folder)});
    if (options.dry_run) continue;

    const std::string doomed = release + "." + bundle::random_name();
    disk.replace({releases.get(), release}, {trash.get(), doomed});
    disk.sync(releases.get(), "releases");
    disk.sync(trash.get(), "trash");
    bool was_used = false;
    for (const auto& [number, held] : generations.releases) {
      if (held != release) continue;
      was_used = true;
      disk.remove({state.get(), good_name(number)});
      disk.sync(state.get(), "state");
      disk.remove({gens.get(), std::to_string(number)});
    }
    if (was_used) disk.sync(gens.get(), "gens");
    disk.remove_tree({trash.get(), doomed});
  }
  return collected;
}

}  // namespace holdall::launcher
