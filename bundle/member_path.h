// What a member of a bundle may be called, and where a symbolic link may point.
#pragma once

#include <string>
#include <string_view>

namespace holdall::bundle {

// What is wrong with `path` as a member's name, e.g. "has a '..' component"; empty if nothing is. A name is relative,
// UTF-8, without NUL, empty, "." or ".." components or trailing slash, and within the caps of limits.h.
std::string path_fault(std::string_view path);

// What is wrong with a link target by itself: absolute, empty, NUL, not UTF-8, over the caps. Whether it stays inside
// the tree depends on the other members (toc_rules.h).
std::string link_target_fault(std::string_view target);

bool is_utf8(std::string_view text);

// "a/b" for "a/b/c", "" for "a".
std::string_view parent_of(std::string_view path);

}  // namespace holdall::bundle
