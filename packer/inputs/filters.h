// --exclude and --include: what to leave out of what was collected.
#pragma once

#include <string>
#include <vector>

#include "packer/inputs/collection.h"

namespace holdall::packer {

struct Filter {
  enum class Kind { kExclude, kInclude } kind = Kind::kExclude;
  std::string pattern;  // fnmatch on the path in the environment; '*' matches '/', a backslash is an ordinary character
};

// The members that remain when the filters are applied in their order: an include takes back what one before it left
// out. A folder stays if it was empty before, or still holds something. `folder` of the environment, ended by a slash,
// is what their paths are relative to; empty: the environment itself.
std::vector<Member> filtered(std::vector<Member> members, const std::vector<Filter>& filters,
                             const std::string& folder = {});

}  // namespace holdall::packer
