// What the service shows to browsers and tools: files that are compiled in.
#pragma once

#include <string_view>

#include "runtime/service/http/http.h"

namespace holdall::runtime::service {

// The files as they are in the sources.
std::string_view openapi_json() noexcept;
std::string_view page_html() noexcept;

HttpReply openapi_reply();
// The page loads nothing from elsewhere and runs no script but its own, which its Content-Security-Policy says.
// `needs_key`: it asks for one before it asks the service anything.
HttpReply page_reply(bool needs_key);

}  // namespace holdall::runtime::service
