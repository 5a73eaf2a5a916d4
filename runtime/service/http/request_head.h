// The pure parts of reading a request's head.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdall::runtime::service {

struct Target {
  std::string path, query;  // path: percent-decoded, begins with '/'
};

// Origin form ("/a?b") or absolute form ("http://host/a?b"). nullopt: neither, a bad escape, or a control character.
std::optional<Target> parse_target(std::string_view target);

// A request id that may be taken over from a client and written into a header and a log.
bool is_plain_token(std::string_view text) noexcept;

}  // namespace holdall::runtime::service
