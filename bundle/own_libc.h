// A tree that runs on the C library that its bundle brings: programs ask for the bundle's loader by its absolute path
// (RelocationKind::kInterpreter), and the rest of the family is found where programs and libraries look for theirs,
// by links that only such a tree has.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/toc.h"

namespace holdall::bundle {

struct TreeLink {
  std::string path, target;  // of the link, and where it leads from its folder
};

// The links for each of libc.folders to each of `names`, the files of the folder that the loader lies in. The loader
// itself needs none: it is there before anything else.
std::vector<TreeLink> libc_links(const BundledLibc& libc, const std::vector<std::string>& names);

// Those of an unpacked archive, in whose TOC everything may lie below `root_folder`. Nothing where the TOC has a member
// of that name already, or lacks the folder.
std::vector<TreeLink> libc_links(const BundledLibc& libc, const Toc& toc, std::string_view root_folder);

}  // namespace holdall::bundle
