// Which of two releases is the newer one, by their versions.
#pragma once

#include <string_view>

namespace holdall::bundle {

// Less than, equal to or greater than 0, as `a` is older than, as new as or newer than `b`. The order of Semantic
// Versioning (semver.org, 11), for any number of components: what stands before the first '-' is compared first; a
// version with a '-' is a preview of the one without; what follows a '+' does not count. Components end at '.', '-' and
// '_'; digits in them are numbers, and older than letters.
int compare_release_versions(std::string_view a, std::string_view b);

}  // namespace holdall::bundle
