#include "launcher/canary/judgement.h"

#include <algorithm>
#include <cstdio>

namespace holdall::launcher {
namespace {

constexpr std::uint64_t kEarlyErrors = 3;
constexpr double kAcceptable = 0.01;
constexpr double kWorse = 2;  // times the other's share

double share(const RequestCounts& counts) {
  return counts.requests == 0 ? 0 : static_cast<double>(counts.errors) / static_cast<double>(counts.requests);
}

std::string in_words(const RequestCounts& counts) {
  char percent[32];
  std::snprintf(percent, sizeof percent, " (%.3g %%)", 100 * share(counts));
  return std::to_string(counts.errors) + " of " + std::to_string(counts.requests) + percent;
}

std::optional<std::string> too_many(const RequestCounts& canary, const RequestCounts& other) {
  if (share(canary) <= std::max(kAcceptable, kWorse * share(other))) return std::nullopt;
  return "it failed " + in_words(canary) + " requests, the release in use " + in_words(other);
}

}  // namespace

std::optional<std::string> fault_of(const RequestCounts& canary, const RequestCounts& other) {
  if (canary.errors < kEarlyErrors || other.requests < kFewestRequests) return std::nullopt;
  return too_many(canary, other);
}

std::optional<std::string> final_fault_of(const RequestCounts& canary, const RequestCounts& other) {
  if (auto fault = too_many(canary, other)) return fault;
  if (canary.requests >= kFewestRequests) return std::nullopt;
  return "it had " + std::to_string(canary.requests) + " requests, too few to judge it by (" +
         std::to_string(kFewestRequests) + "): give it longer (--canary-time) or a larger share";
}

}  // namespace holdall::launcher
