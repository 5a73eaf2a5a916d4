// Moments in time as people and JSON write them: "2027-06-30T00:00:00Z" (RFC 3339, UTC).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdall::bundle {

// Seconds since 1970. Also takes a day, "2027-06-30", for its beginning. nullopt: it is neither, or no such day is in
// the calendar.
std::optional<std::int64_t> parse_utc(std::string_view text);

// `seconds` of the years 0 to 9999.
std::string format_utc(std::int64_t seconds);

}  // namespace holdall::bundle
