// Whether a release that got a share of the requests answers them worse than the one that got the others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "launcher/canary/request_counts.h"

namespace holdall::launcher {

// Fewer tell nothing.
inline constexpr std::uint64_t kFewestRequests = 10;

// While it goes on: at least three errors, more than one request in a hundred, and more than twice the share that the
// other has, of kFewestRequests or more. What is wrong, for people; nullopt: nothing yet.
std::optional<std::string> fault_of(const RequestCounts& canary, const RequestCounts& other);

// At its end: the same with any number of errors; and it must have had kFewestRequests.
std::optional<std::string> final_fault_of(const RequestCounts& canary, const RequestCounts& other);

}  // namespace holdall::launcher
