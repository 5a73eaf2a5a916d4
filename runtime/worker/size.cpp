#include "runtime/worker/size.h"

#include <charconv>

#include "runtime/error.h"

namespace holdall::runtime::worker {

std::optional<image::Size> parse_size(const std::string& text) {
  if (text == "auto") return std::nullopt;
  image::Size size;
  const char* const end = text.data() + text.size();
  const auto [x, width_error] = std::from_chars(text.data(), end, size.width);
  if (width_error == std::errc() && x != end && *x == 'x') {
    const auto [rest, height_error] = std::from_chars(x + 1, end, size.height);
    if (height_error == std::errc() && rest == end) return size;
  }
  throw Error(ErrorKind::kBadRequest, "cannot use size '" + text + "': needed auto or WIDTHxHEIGHT, such as 1024x768",
              "size");
}

}  // namespace holdall::runtime::worker
