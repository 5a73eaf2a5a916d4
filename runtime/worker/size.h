// A picture's size as it is typed.
#pragma once

#include <optional>
#include <string>

#include "runtime/image/resize.h"

namespace holdall::runtime::worker {

// "1024x768"; nothing for "auto". Throws runtime::Error{kBadRequest}.
std::optional<image::Size> parse_size(const std::string& text);

}  // namespace holdall::runtime::worker
