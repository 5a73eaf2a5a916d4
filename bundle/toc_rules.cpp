#include "bundle/toc_rules.h"

#include <algorithm>

#include "bundle/limits.h"
#include "bundle/member_path.h"

namespace holdall::bundle {

std::string TreeRules::add(const Entry& entry) {
  if (std::string fault = path_fault(entry.path); !fault.empty()) return fault;
  if (entry.type == EntryType::kSymlink) {
    if (std::string fault = link_target_fault(entry.link_target); !fault.empty())
      return "has a link target that " + fault;
  } else if (!entry.link_target.empty()) {
    return "has a link target and is no link";
  }
  const std::string parent(parent_of(entry.path));
  if (nodes_.empty()) {
    for (std::string folder = parent; !folder.empty(); folder = parent_of(folder)) nodes_.emplace(folder, Node{});
  } else if (!parent.empty()) {
    const auto found = nodes_.find(parent);
    if (found == nodes_.end()) return "comes without its folder '" + parent + "' before it";
    if (found->second.type != EntryType::kDirectory) return "lies under '" + parent + "', which is no folder";
  }
  const auto [node, fresh] = nodes_.try_emplace(entry.path);
  if (!fresh && (node->second.listed || entry.type != EntryType::kDirectory)) return "is listed twice";
  node->second = {entry.type, true, entry.link_target};
  if (entry.type == EntryType::kSymlink) links_.push_back(entry.path);
  return {};
}

std::string TreeRules::resolve(const std::string& path, std::uint64_t& budget) const {
  std::string current(parent_of(path));
  std::vector<std::string_view> pending;  // components still to walk, the next one last
  const auto push = [&](std::string_view target) {
    const std::size_t base = pending.size();
    for (std::size_t start = 0; start <= target.size();) {
      const std::size_t end = std::min(target.find('/', start), target.size());
      pending.push_back(target.substr(start, end - start));
      start = end + 1;
    }
    std::reverse(pending.begin() + static_cast<std::ptrdiff_t>(base), pending.end());
  };
  push(nodes_.at(path).target);
  for (int steps = 1; !pending.empty();) {
    if (budget-- == 0) return "costs too much to resolve";
    const std::string_view component = pending.back();
    pending.pop_back();
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      if (current.empty()) return "leads out of the tree";
      current = std::string(parent_of(current));
      continue;
    }
    const std::size_t parent_size = current.size();
    if (!current.empty()) current += '/';
    current += component;
    const auto node = nodes_.find(current);
    if (node == nodes_.end() || node->second.type != EntryType::kSymlink) continue;
    if (++steps > kMaxLinkSteps) return "leads in a circle";
    current.resize(parent_size);
    push(node->second.target);
  }
  return {};
}

std::string TreeRules::link_fault() const {
  std::uint64_t budget = 20'000'000;  // components walked for all links together: a hostile TOC must not cost minutes
  for (const std::string& path : links_) {
    if (std::string fault = resolve(path, budget); !fault.empty()) {
      return "link '" + path + "' to '" + nodes_.at(path).target + "' " + fault;
    }
  }
  return {};
}

}  // namespace holdall::bundle
