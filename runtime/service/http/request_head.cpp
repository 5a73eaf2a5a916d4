#include "runtime/service/http/request_head.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace holdall::runtime::service {

std::optional<Target> parse_target(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (target.starts_with(scheme)) {
      const auto slash = target.find('/', scheme.size());
      target = slash == target.npos ? "/" : target.substr(slash);
    }
  if (!target.starts_with('/')) return std::nullopt;
  const auto question = target.find('?');
  Target out;
  if (question != target.npos) out.query = target.substr(question + 1);
  const std::string_view path = target.substr(0, question);
  for (std::size_t i = 0; i < path.size(); ++i) {
    char c = path[i];
    if (c == '%') {
      unsigned int value = 0;
      if (i + 2 >= path.size()) return std::nullopt;
      const auto [end, error] = std::from_chars(path.data() + i + 1, path.data() + i + 3, value, 16);
      if (error != std::errc() || end != path.data() + i + 3) return std::nullopt;
      c = static_cast<char>(value);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out.path.push_back(c);
  }
  return out;
}

bool is_plain_token(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace holdall::runtime::service
