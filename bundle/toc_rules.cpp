#include "bundle/toc_rules.h"

#include <algorithm>
#include <functional>

#include "bundle/limits.h"
#include "bundle/member_path.h"

namespace holdall::bundle {

namespace {

constexpr std::size_t kFirstSlots = 1024;  // a power of two

std::string_view name_in(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

TreeRules::TreeRules() : nodes_(1), slots_(kFirstSlots) {}

std::size_t TreeRules::slot_of(Index parent, std::string_view name) const {
  // Fibonacci hashing spreads neighbouring folders.
  std::size_t slot = std::hash<std::string_view>{}(name) ^ (std::size_t{parent} * 0x9E37'79B9'7F4A'7C15);
  for (slot &= slots_.size() - 1;; slot = (slot + 1) & (slots_.size() - 1)) {
    const Index node = slots_[slot];
    if (node == 0 || (nodes_[node].parent == parent && name_of(node) == name)) return slot;
  }
}

TreeRules::Index TreeRules::find(std::string_view path) const {
  Index node = 0;
  for (std::size_t start = 0;;) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    node = child(node, path.substr(start, end - start));
    if (node == 0 || end == path.size()) return node;
    start = end + 1;
  }
}

TreeRules::Index TreeRules::insert(Index parent, std::string_view name) {
  if (2 * (nodes_.size() + 1) > slots_.size()) {
    slots_.assign(2 * slots_.size(), 0);
    for (Index node = 1; node < nodes_.size(); ++node) slots_[slot_of(nodes_[node].parent, name_of(node))] = node;
  }
  const auto node = static_cast<Index>(nodes_.size());
  slots_[slot_of(parent, name)] = node;
  Node& made = nodes_.emplace_back();
  made.name = names_.size();
  made.parent = parent;
  made.name_size = static_cast<std::uint16_t>(name.size());
  names_ += name;
  return node;
}

std::string TreeRules::path_of(Index node) const {
  std::string path;
  for (; node != 0; node = nodes_[node].parent) path = std::string(name_of(node)) + (path.empty() ? "" : "/" + path);
  return path;
}

std::string TreeRules::add(const Entry& entry) {
  if (std::string fault = path_fault(entry.path); !fault.empty()) return fault;
  if (entry.type == EntryType::kSymlink) {
    if (std::string fault = link_target_fault(entry.link_target); !fault.empty())
      return "has a link target that " + fault;
  } else if (!entry.link_target.empty()) {
    return "has a link target and is no link";
  }
  const std::string_view parent = parent_of(entry.path);
  if (nodes_.size() == 1) {
    for (std::size_t end = 0; end < parent.size();) {
      end = std::min(parent.find('/', end + 1), parent.size());
      insert(static_cast<Index>(nodes_.size() - 1), name_in(parent.substr(0, end)));
    }
  }
  if (parent != last_parent_) {
    const Index found = parent.empty() ? 0 : find(parent);
    if (found == 0 && !parent.empty()) return "comes without its folder '" + std::string(parent) + "' before it";
    if (nodes_[found].type != EntryType::kDirectory)
      return "lies under '" + std::string(parent) + "', which is no folder";
    last_parent_ = parent;
    last_parent_node_ = found;
  }
  const std::string_view name = name_in(entry.path);
  Index node = child(last_parent_node_, name);
  if (node == 0) {
    node = insert(last_parent_node_, name);
  } else if (nodes_[node].listed || entry.type != EntryType::kDirectory) {
    return "is listed twice";
  }
  nodes_[node].type = entry.type;
  nodes_[node].listed = true;
  if (entry.type == EntryType::kSymlink) links_.push_back({node, entry.link_target});
  return {};
}

const std::string& TreeRules::target_of(Index link) const {
  return std::ranges::lower_bound(links_, link, {}, &Link::node)->target;
}

std::string TreeRules::resolve(const Link& link, std::uint64_t& budget) const {
  Index current = nodes_[link.node].parent;
  std::size_t beyond = 0;                 // components below `current` that are no members: nothing lies under these
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
  push(link.target);
  for (int steps = 1; !pending.empty();) {
    if (budget-- == 0) return "costs too much to resolve";
    const std::string_view component = pending.back();
    pending.pop_back();
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      if (beyond > 0) {
        --beyond;
      } else if (current == 0) {
        return "leads out of the tree";
      } else {
        current = nodes_[current].parent;
      }
      continue;
    }
    const Index next = beyond > 0 ? 0 : child(current, component);
    if (next == 0) {
      ++beyond;
    } else if (nodes_[next].type != EntryType::kSymlink) {
      current = next;
    } else if (++steps > kMaxLinkSteps) {
      return "leads in a circle";
    } else {
      push(target_of(next));
    }
  }
  return {};
}

std::string TreeRules::link_fault() const {
  std::uint64_t budget = 20'000'000;  // components walked for all links together: a hostile TOC must not cost minutes
  for (const Link& link : links_) {
    if (std::string fault = resolve(link, budget); !fault.empty()) {
      return "link '" + path_of(link.node) + "' to '" + link.target + "' " + fault;
    }
  }
  return {};
}

}  // namespace holdall::bundle
