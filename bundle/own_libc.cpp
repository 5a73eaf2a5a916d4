#include "bundle/own_libc.h"

#include <algorithm>
#include <set>

#include "bundle/member_path.h"

namespace holdall::bundle {
namespace {

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// From a folder of the tree to another place in it, through no folder but the tree's own.
std::string relative(std::string_view folder, const std::string& place) {
  const auto levels = folder.empty() ? 0 : 1 + std::ranges::count(folder, '/');
  std::string up;
  for (std::ptrdiff_t i = 0; i < levels; ++i) up += "../";
  return up + place;
}

std::string below(std::string_view folder, std::string_view path) {
  return std::string(folder) + (folder.empty() ? "" : "/") + std::string(path);
}

}  // namespace

std::vector<TreeLink> libc_links(const BundledLibc& libc, const std::vector<std::string>& names) {
  const std::string family(parent_of(libc.interpreter));
  std::vector<TreeLink> links;
  for (const std::string& folder : libc.folders) {
    if (folder == family) continue;
    for (const std::string& name : names) {
      if (name == name_of(libc.interpreter) || name == name_of(kOwnLoader)) continue;
      links.push_back({below(folder, name), relative(folder, below(family, name))});
    }
  }
  return links;
}

std::vector<TreeLink> libc_links(const BundledLibc& libc, const Toc& toc, std::string_view root_folder) {
  const std::string family = below(root_folder, parent_of(libc.interpreter));
  std::set<std::string, std::less<>> present;
  std::vector<std::string> names;
  for (const Entry& entry : toc.entries) {
    present.emplace(entry.path);
    if (entry.type == EntryType::kRegular && parent_of(entry.path) == family) names.emplace_back(name_of(entry.path));
  }
  std::vector<TreeLink> links;
  for (TreeLink& link : libc_links(libc, names)) {
    link.path = below(root_folder, link.path);
    if (!present.contains(link.path) && present.contains(parent_of(link.path))) links.push_back(std::move(link));
  }
  return links;
}

}  // namespace holdall::bundle
