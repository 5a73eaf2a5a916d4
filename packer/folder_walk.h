// Collects a folder: what it holds, sorted, links as they should stand in a bundle.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bundle/toc.h"

namespace holdall::packer {

struct FoundFile {
  std::string path;    // relative to the folder
  std::string source;  // of a regular file: what to read
  bundle::EntryType type = bundle::EntryType::kRegular;
  std::uint64_t size = 0;
  bool executable = false;
  std::string link_target;  // of a link: relative
};

enum class Links {
  kKeep,    // stay links; an absolute one that stays inside the folder becomes relative, one that leaves it is a fault
  kFollow,  // are packed as what they lead to (a model's folder may be links into a download cache)
};

struct FolderWalk {
  std::vector<FoundFile> files;       // parents first, without the folder itself
  std::vector<std::string> warnings;  // sockets, FIFOs and devices, which are left out
};

// Throws Error{kNotFound, kStorage}, and one Error{kCannotPack} that lists every fault: names that are not UTF-8 or
// that no bundle may have, dangling links, links that leave the folder or lead in a circle.
FolderWalk walk_folder(const std::string& folder, Links links);

}  // namespace holdall::packer
