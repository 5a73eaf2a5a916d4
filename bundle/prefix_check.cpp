#include "bundle/prefix_check.h"

#include <algorithm>
#include <array>

#include "bundle/error.h"
#include "bundle/member_path.h"

namespace holdall::bundle {
namespace {

constexpr std::size_t kScriptsListed = 20;

// Whether the packed line still starts its interpreter with `prefix` in the place of the placeholders.
bool starts(std::string_view line, const std::vector<Relocation>& records, const std::string& prefix) {
  std::size_t size = line.size();
  bool touched = false;
  for (const Relocation& record : records) {
    if (record.offset >= line.size()) break;
    touched = true;
    if (record.kind == RelocationKind::kText) size += prefix.size() - record.length;
  }
  return !touched || (size <= kLongestShebang && prefix.find_first_of(" \t") == prefix.npos);
}

}  // namespace

bool is_script_place(std::string_view path) {
  static constexpr std::array<std::string_view, 3> kFolders{"bin", "sbin", "libexec"};
  for (std::string_view folder = parent_of(path); !folder.empty(); folder = parent_of(folder)) {
    const std::string_view parent = parent_of(folder);
    const std::string_view name = folder.substr(parent.empty() ? 0 : parent.size() + 1);
    if (std::ranges::find(kFolders, name) != kFolders.end()) return true;
  }
  return false;
}

void PrefixCheck::add(const PrefixUser& file, const std::function<std::string()>& head) {
  if (const auto fits = longest_prefix(file.records, libc_); fits && (!longest_ || *fits < *longest_)) {
    longest_ = fits;
    tightest_ = file.path;
  }
  const auto in_head = [](const Relocation& record) {
    return (record.kind == RelocationKind::kText || record.kind == RelocationKind::kShebang) &&
           record.offset < kLongestShebang;
  };
  if (!file.executable || !is_script_place(file.path) || file.records.empty() || !in_head(file.records.front())) return;
  const std::string text = head();
  const std::string_view line = std::string_view(text).substr(0, text.find('\n'));
  if (line.starts_with("#!") && !starts(line, file.records, prefix_)) scripts_.emplace_back(file.path);
}

void PrefixCheck::require() const {
  if (longest_ && *longest_ < prefix_.size()) {
    throw Error(ErrorKind::kStorage, "'" + prefix_ + "' is too long for '" + tightest_ + "': found " +
                                         std::to_string(prefix_.size()) + " bytes, at most " +
                                         std::to_string(*longest_) + " fit: choose a shorter path");
  }
  if (scripts_.empty()) return;
  std::string message = "'" + prefix_ + "' cannot stand in the first line of these scripts (no blanks, at most " +
                        std::to_string(kLongestShebang) + " bytes with the interpreter's name): choose another path:";
  for (std::size_t i = 0; i < std::min(scripts_.size(), kScriptsListed); ++i) message += "\n  " + scripts_[i];
  if (scripts_.size() > kScriptsListed)
    message += "\n  and " + std::to_string(scripts_.size() - kScriptsListed) + " more";
  throw Error(ErrorKind::kStorage, message);
}

}  // namespace holdall::bundle
