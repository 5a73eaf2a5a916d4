// The rules that tie the members of a bundle together: names are unique, folders come before what they hold, nothing
// lies under a file or a link, and no link leads out of the tree. Writer and readers check the same.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "bundle/toc.h"

namespace holdall::bundle {

// The names seen so far, in archive order. The folders of the first member (holdall/bundle.json) need no entry.
class TreeRules {
 public:
  // What is wrong with `entry` after those added before it, e.g. "is listed twice"; empty if nothing is, and then the
  // entry belongs to the tree.
  std::string add(const Entry& entry);

  // After the last add(): the path of a link that leads out of the tree or in a circle, with the reason; else empty.
  // Links are followed as the kernel would, so a chain of harmless links cannot add up to an escape.
  std::string link_fault() const;

 private:
  struct Node {
    EntryType type = EntryType::kDirectory;
    bool listed = false;
    std::string target;
  };
  std::string resolve(const std::string& path, std::uint64_t& budget) const;
  std::unordered_map<std::string, Node> nodes_;
  std::vector<std::string> links_;
};

}  // namespace holdall::bundle
