// Rewrites text files that name the build prefix, so that the archive holds a fixed placeholder instead of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/relocation.h"

namespace holdall::packer {

struct RewrittenText {
  std::string contents;                         // with placeholders, shebang made position-independent
  std::vector<bundle::Relocation> relocations;  // where the placeholders stand
};

// `prefixes`: the build prefix as given and with its links resolved. `bundle_path`: where the file will lie in the
// tree, whose root stands for the prefix. nullopt if nothing is to change: no prefix in it, or a NUL (then it is not
// text, and the leak audit speaks up). Only occurrences at path boundaries count.
std::optional<RewrittenText> rewrite_text(std::string_view contents, const std::vector<std::string>& prefixes,
                                          const std::string& bundle_path);

// The first line of a script in bin/, sbin/ or libexec/ whose interpreter lies in a prefix and is a Python: a polyglot
// of /bin/sh and Python that finds the interpreter beside the script. nullopt where the line must stay a shebang:
// another interpreter, a coding cookie in line 2, `__doc__` in use, or an import from __future__.
std::optional<std::string> relocatable_shebang(std::string_view contents, const std::vector<std::string>& prefixes,
                                               const std::string& bundle_path);

}  // namespace holdall::packer
