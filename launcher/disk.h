// Every change that the store makes to the disk, each announced to a hook before it happens: the tests kill the process
// there, one change after another, and look at what is left.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/file_descriptor.h"

namespace holdall::launcher {

// A name inside an open folder. `folder` is borrowed.
struct Place {
  int folder = -1;
  std::string name;
};

// All functions throw bundle::Error on failure. Names are relative to open folders, so that a store that is moved or
// swapped for a link meanwhile is not followed.
class Disk {
 public:
  using Hook = std::function<void(std::string_view call, std::string_view name)>;

  Disk() = default;
  explicit Disk(Hook before) : before_(std::move(before)) {}

  void make_folder(const Place& place, unsigned mode) const;  // must not exist
  void make_link(const std::string& target, const Place& place) const;
  void write_file(const Place& place, std::string_view bytes) const;  // new, 0600, synced
  void replace(const Place& from, const Place& to) const;             // rename; what was at `to` is gone
  bool rename_new(const Place& from, const Place& to) const;          // false: `to` exists already
  void exchange(const Place& one, const Place& other) const;
  void remove(const Place& place) const;       // a file or link; absence is fine
  void remove_tree(const Place& place) const;  // anything, with all below it; links not followed; absence is fine
  void sync(int folder, std::string_view name) const;

  const Hook& hook() const { return before_; }

 private:
  void announce(std::string_view call, std::string_view name) const {
    if (before_) before_(call, name);
  }
  Hook before_;
};

// Read-only helpers. Empty bundle::FileDescriptor: absent.
bundle::FileDescriptor open_folder(const Place& place);
std::vector<std::string> names_in(const Place& folder);  // sorted; none if it is absent
std::string read_link(const Place& place);               // empty: absent or not a link
bool exists(const Place& place);
std::string read_file(const Place& place, std::size_t limit);  // throws if absent or larger

// For a path that the user names: links are followed, and it may be a pipe. Of what is larger than `limit`, more than
// that. Throws if absent.
std::string read_named(const std::string& path, std::size_t limit);

}  // namespace holdall::launcher
