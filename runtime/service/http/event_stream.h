// Server-sent events (WHATWG HTML, 9.2).
#pragma once

#include <string>

#include "runtime/service/http/http.h"

namespace holdall::runtime::service {

inline constexpr const char* kHeartbeat = ":\n\n";

// One event. `data`: without line breaks, as JSON is; `id` may be empty.
std::string event_text(const std::string& name, const std::string& data, const std::string& id = "");

// The head of a reply that is a stream of events.
HttpReply event_stream_head();

}  // namespace holdall::runtime::service
