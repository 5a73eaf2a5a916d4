// --slim: leaves out of a bundle what nothing needs at run time. Every rule has a name, and the report says what it
// drops.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::packer {

struct PlannedMember;

struct SlimRule {
  const char* name;  // "static-archives"
  const char* what;  // for people
};
std::span<const SlimRule> slim_rules();

// The rule that drops a file of that path in the bundle; null: it stays. Programs, dist-info, conda-meta, models and
// whatever is called like a licence always stay.
const SlimRule* slim_rule_for(std::string_view path);

struct SlimDrop {
  std::string rule;
  std::uint64_t files = 0, bytes = 0;  // regular files
};

// What the rules drop of `members`, in their order, rules without effect left out. Vendors' files stay. With kDrop it
// is taken out: files, links that would lead nowhere, folders that become empty.
enum class Slimming { kNone, kDrop };
std::vector<SlimDrop> slim(std::vector<PlannedMember>& members, Slimming slimming);

}  // namespace holdall::packer
