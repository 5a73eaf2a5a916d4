#include "launcher/version_floor.h"

#include "bundle/error.h"
#include "bundle/temporary_name.h"
#include "bundle/version_order.h"
#include "launcher/generations.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

constexpr std::size_t kLongestVersion = 64;

std::string name_of(const std::string& bundle) {
  return "min_version." + bundle;
}

// Empty: none. `state`: the open folder.
std::string read_floor(const bundle::FileDescriptor& state, const std::string& bundle) {
  const Place place{state.get(), name_of(bundle)};
  if (!exists(place)) return {};
  std::string floor = read_file(place, kLongestVersion);
  if (!is_plain_name(floor, kLongestVersion))
    throw Error(ErrorKind::kStorage,
                "'state/" + place.name + "' is damaged: write the lowest version that this store may be given into it");
  return floor;
}

}  // namespace

void require_version_floor(const Store& store, const StoreLock& /*held*/, const bundle::Release& release) {
  const std::string floor = read_floor(open_folder({store.directory_fd(), "state"}), release.name);
  if (floor.empty() || bundle::compare_release_versions(release.version, floor) >= 0) return;
  throw Error(ErrorKind::kTrust, release.name + " " + release.version + " is too old: '" + store.path() +
                                     "' has had a release that allows none below " + floor +
                                     ": get a newer one, or go back to an installed one (holdall ls, holdall use)");
}

void raise_version_floor(const Store& store, const StoreLock& /*held*/, const std::string& bundle,
                         const std::string& min_version) {
  if (min_version.empty()) return;
  const bundle::FileDescriptor state = open_folder({store.directory_fd(), "state"});
  const std::string floor = read_floor(state, bundle);
  if (!floor.empty() && bundle::compare_release_versions(min_version, floor) <= 0) return;
  const Disk& disk = store.disk();
  const Place fresh{state.get(),
                    "." + name_of(bundle) + "." + bundle::random_name()};  // recovery removes what starts with a dot
  disk.write_file(fresh, min_version);
  disk.replace(fresh, {state.get(), name_of(bundle)});
  disk.sync(state.get(), "state");
}

}  // namespace holdall::launcher
