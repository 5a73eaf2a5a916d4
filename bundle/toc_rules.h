// The rules that tie the members of a bundle together: names are unique, folders come before what they hold, nothing
// lies under a file or a link, and no link leads out of the tree. Writer and readers check the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/toc.h"

namespace holdall::bundle {

// The names seen so far, in archive order. The folders of the first member (holdall/bundle.json) need no entry.
// A node for each name under its folder's: of a million files, 40 MB.
class TreeRules {
 public:
  TreeRules();

  // What is wrong with `entry` after those added before it, e.g. "is listed twice"; empty if nothing is, and then the
  // entry belongs to the tree.
  std::string add(const Entry& entry);

  // After the last add(): the path of a link that leads out of the tree or in a circle, with the reason; else empty.
  // Links are followed as the kernel would, so a chain of harmless links cannot add up to an escape.
  std::string link_fault() const;

 private:
  using Index = std::uint32_t;  // of a node; 0 is the root
  struct Node {
    std::uint64_t name = 0;  // where it begins in names_
    Index parent = 0;
    std::uint16_t name_size = 0;
    EntryType type : 4 = EntryType::kDirectory;
    bool listed : 1 = false;
  };
  struct Link {
    Index node = 0;
    std::string target;
  };

  std::string_view name_of(Index node) const { return {names_.data() + nodes_[node].name, nodes_[node].name_size}; }
  std::string path_of(Index node) const;
  std::size_t slot_of(Index parent, std::string_view name) const;  // where it is, or would be
  Index child(Index parent, std::string_view name) const { return slots_[slot_of(parent, name)]; }  // 0: none
  Index find(std::string_view path) const;                                                          // 0: none
  Index insert(Index parent, std::string_view name);
  const std::string& target_of(Index link) const;
  std::string resolve(const Link& link, std::uint64_t& budget) const;

  std::vector<Node> nodes_;
  std::string names_;
  std::vector<Index> slots_;  // a hash table, twice as large as what it holds at least; 0: free
  std::vector<Link> links_;   // ascending by node
  std::string last_parent_;   // of the entry before, as most have the same
  Index last_parent_node_ = 0;
};

}  // namespace holdall::bundle
