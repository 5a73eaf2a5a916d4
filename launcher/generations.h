// What gens/ and state/ of a store say: which generation held which release, and how each fared.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace holdall::launcher {

inline constexpr int kTrials = 3;

// state/trial.<n>+<left>-<done>: starts that the generation may still spend, and those it has spent.
struct Trial {
  int left = kTrials, done = 0;
};

struct Generations {
  std::map<std::uint64_t, std::string> releases;  // gens/<n> → release id; the release may be gone
  std::map<std::uint64_t, Trial> trials;
  std::set<std::uint64_t> good, bad;

  std::uint64_t newest() const { return releases.empty() ? 0 : releases.rbegin()->first; }
};

// `store`: the open folder of a store. Names that are not of the store's own form are passed over.
Generations read_generations(int store);

// "gens/7" → 7.
std::optional<std::uint64_t> parse_number(const std::string& text, const std::string& prefix);

std::string trial_name(std::uint64_t generation, const Trial& trial);  // "trial.7+3-0"
std::string good_name(std::uint64_t generation);                       // "good.7"
std::string bad_name(std::uint64_t generation);                        // "bad.7"

// Is `text` of the form of a release id or a service name: [A-Za-z0-9_.][A-Za-z0-9._+-]*, not "." or "..", at most
// `longest` characters?
bool is_plain_name(const std::string& text, std::size_t longest);

}  // namespace holdall::launcher
