// Logs: JSON lines on stderr. Prompts and pictures are never among the fields, only their digests.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace holdall::runtime::service {

// One line, written by one call, with "time" first: {"time":…,"level":"info","event":…, fields…}. Any thread.
void log_event(std::string_view event, const nlohmann::ordered_json& fields);
void log_warning(std::string_view event, const nlohmann::ordered_json& fields);

// RFC 3339 with milliseconds.
std::string now_utc();

}  // namespace holdall::runtime::service
