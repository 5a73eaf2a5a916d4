// Lists a folder: what it holds, links as they should stand in a bundle.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "packer/inputs/collection.h"

namespace holdall::packer {

enum class Links {
  kKeep,    // stay links; an absolute one into the folder becomes relative
  kFollow,  // are packed as what they lead to (a model's folder may be links into a download cache)
};

// What becomes of a link that leads out of the folder.
enum class OutsideLink {
  kRefuse,
  kCopy,  // packed as what it leads to; a folder with all it holds
  kKeep,  // given as it is, for the caller to deal with
};

struct WalkOptions {
  Links links = Links::kKeep;
  std::string given = {};  // how the folder was called, if not by its own name: links may use either
  std::function<OutsideLink(const std::string& path, const std::string& target)> outside_link = {};  // none: kRefuse
  std::function<bool(std::string_view name)> leaves_out = {};                                        // at the top only
  std::function<void()> check = {};  // called now and then; may throw to cancel
};

struct TreeWalk {
  std::vector<Member> members;        // sorted by path: folders before what they hold; without the folder itself
  std::vector<std::string> warnings;  // sockets, FIFOs and devices, which are left out
};

// `folder`: absolute, links resolved. Throws Error{kNotFound, kStorage}; and one Error{kCannotPack} that lists all
// faults: names that are not UTF-8 or that no bundle may have, links that leave the folder or lead in a circle, files
// that may not be read (Error{kStorage} if these are the only ones).
TreeWalk walk_tree(const std::string& folder, const WalkOptions& options = {});

}  // namespace holdall::packer
