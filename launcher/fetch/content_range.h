// What a server says of the range that it sends.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdall::launcher {

// begin <= last < total
struct ContentRange {
  std::uint64_t begin = 0, last = 0, total = 0;
};

// "bytes 0-65535/1234567" (RFC 9110, 14.4). Empty: malformed, or without the total.
std::optional<ContentRange> parse_content_range(std::string_view text);

}  // namespace holdall::launcher
