#include "packer/inputs/filters.h"

#include <fnmatch.h>

#include <set>
#include <string_view>

#include "bundle/member_path.h"

namespace holdall::packer {
namespace {

bool is_kept(const std::string& path, const std::vector<Filter>& filters) {
  bool kept = true;
  for (const Filter& filter : filters) {
    const bool wanted = filter.kind == Filter::Kind::kInclude;
    if (kept != wanted && ::fnmatch(filter.pattern.c_str(), path.c_str(), FNM_NOESCAPE) == 0) kept = wanted;
  }
  return kept;
}

}  // namespace

std::vector<Member> filtered(std::vector<Member> members, const std::vector<Filter>& filters,
                             const std::string& folder) {
  if (filters.empty()) return members;
  std::set<std::string, std::less<>> held, holds;  // folders that held something, and that still do
  const auto add_parents = [](std::string_view path, auto& folders) {
    for (path = bundle::parent_of(path); !path.empty() && folders.emplace(path).second;) path = bundle::parent_of(path);
  };
  for (const Member& member : members) add_parents(member.path, held);
  const auto is_folder = [&](const Member& member) { return held.contains(member.path); };
  std::erase_if(members,
                [&](const Member& member) { return !is_folder(member) && !is_kept(folder + member.path, filters); });
  for (const Member& member : members) {
    if (!is_folder(member)) add_parents(member.path, holds);
  }
  std::erase_if(members, [&](const Member& member) { return is_folder(member) && !holds.contains(member.path); });
  return members;
}

}  // namespace holdall::packer
