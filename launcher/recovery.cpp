// Recovery: brings a store that was left in the middle of a change to the state before or after it. Runs under the lock
// at the start of every command that writes; it may be cut short itself and simply runs again.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <set>

#include "bundle/error.h"
#include "launcher/generations.h"
#include "launcher/store.h"

namespace holdall::launcher {
namespace {

constexpr std::time_t kPartialKept = 7 * 24 * 3600;  // seconds that an unfinished download may be resumed

void make_layout(const Disk& disk, int store) {
  bool changed = false;
  for (const char* name : {"staging", "trash", "partial", "releases", "gens", "state"}) {
    if (exists({store, name})) continue;
    disk.make_folder({store, name}, 0700);
    changed = true;
  }
  if (changed) disk.sync(store, "store");
}

// Removes what is in store/name; `all` or only what starts with a dot.
enum class What { kAll, kTemporaries };
void sweep(const Disk& disk, int store, const std::string& name, What what) {
  const bundle::FileDescriptor folder = open_folder({store, name});
  bool changed = false;
  for (const std::string& item : names_in({store, name})) {
    if (what == What::kTemporaries && item.front() != '.') continue;
    disk.remove_tree({folder.get(), item});
    changed = true;
  }
  if (changed) disk.sync(folder.get(), name);
}

void drop_old_downloads(const Disk& disk, int store) {
  const bundle::FileDescriptor folder = open_folder({store, "partial"});
  for (const std::string& item : names_in({store, "partial"})) {
    struct stat status {};
    if (::fstatat(folder.get(), item.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        ::time(nullptr) - status.st_mtime > kPartialKept)
      disk.remove_tree({folder.get(), item});
  }
}

}  // namespace

void Store::recover() {
  const int store = directory_.get();
  make_layout(disk_, store);
  sweep(disk_, store, "staging", What::kAll);
  sweep(disk_, store, "trash", What::kAll);
  sweep(disk_, store, "state", What::kTemporaries);
  drop_old_downloads(disk_, store);
  for (const std::string& name : names_in({store, "."}))
    for (const char* const temporary : {".current.", ".good.", ".service.json."})
      if (name.starts_with(temporary)) disk_.remove(at(name));

  Generations generations = read_generations(store);
  const bundle::FileDescriptor gens = open_folder(at("gens")), state = open_folder(at("state")),
                               releases = open_folder(at("releases"));
  const auto whole = [&](std::uint64_t number) {
    const auto found = generations.releases.find(number);
    return found != generations.releases.end() && exists({releases.get(), found->second});
  };
  const auto newest_good = [&]() -> std::optional<std::uint64_t> {
    const auto found = std::find_if(generations.good.rbegin(), generations.good.rend(), whole);
    return found == generations.good.rend() ? std::nullopt : std::optional(*found);
  };

  // A good that is lost or points nowhere: the newest generation that passed its gate takes its place.
  const auto good_number = parse_number(read_link(at("good")), "gens/");
  if (!good_number || !whole(*good_number)) {
    const auto other = newest_good();
    if (other)
      point("good", *other);
    else if (exists(at("good")))
      disk_.remove(at("good"));
  }
  // A current that is lost, points nowhere or was found bad: the last good one.
  const auto last_good = good();
  auto now = current();
  if (!now || generations.bad.contains(now->number)) {
    if (last_good)
      point("current", last_good->number);
    else if (exists(at("current")))
      disk_.remove(at("current"));
    now = current();
  }
  // Passed its gate, or needs none, but the switch of good was cut short.
  if (now && generations.good.contains(now->number) && (!last_good || last_good->number < now->number))
    point("good", now->number);

  bool state_changed = false;
  for (const auto& [number, trial] : generations.trials) {
    const bool is_current = now && now->number == number;
    if (is_current && !generations.good.contains(number)) continue;
    if (!is_current && trial.done > 0 && (!now || number > now->number) && !generations.bad.contains(number)) {
      // Its failure had switched current back already; only the report was missing.
      disk_.replace({state.get(), trial_name(number, trial)}, {state.get(), bad_name(number)});
      generations.bad.insert(number);
    } else {
      disk_.remove({state.get(), trial_name(number, trial)});
    }
    state_changed = true;
  }

  // Generations of collected releases, and those that never became current; state first, so that a generation that
  // takes the number again does not inherit it.
  std::set<std::uint64_t> dead;
  for (const auto& [number, release] : generations.releases) {
    const bool never_current = (!now || number > now->number) && !generations.bad.contains(number);
    if (!whole(number) || never_current) dead.insert(number);
  }
  const auto drop_reports = [&](const std::set<std::uint64_t>& numbers, std::string (*name)(std::uint64_t)) {
    for (const std::uint64_t number : numbers) {
      if (generations.releases.contains(number) && !dead.contains(number)) continue;
      disk_.remove({state.get(), name(number)});
      state_changed = true;
    }
  };
  drop_reports(generations.good, good_name);
  drop_reports(generations.bad, bad_name);
  if (state_changed) disk_.sync(state.get(), "state");
  for (const std::uint64_t number : dead) disk_.remove({gens.get(), std::to_string(number)});
  if (!dead.empty()) disk_.sync(gens.get(), "gens");
}

}  // namespace holdall::launcher
