#include "runtime/service/access/content_policy.h"

#include <utf8proc.h>

#include <algorithm>

#include "runtime/error.h"
#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {
namespace {

constexpr char32_t kFirstWithoutSpaces = 0x2e80;  // CJK radicals: from here on scripts run words together
constexpr auto kFolding = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                                                         UTF8PROC_IGNORE | UTF8PROC_STRIPCC);

// NFKC and case folding, without what is not seen (zero-width characters); empty for what is no UTF-8.
std::u32string folded(const std::string& text) {
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const utf8proc_ssize_t needed = utf8proc_decompose(bytes, size, nullptr, 0, kFolding);
  if (needed <= 0) return {};
  std::vector<utf8proc_int32_t> points(static_cast<std::size_t>(needed) + 1);
  utf8proc_decompose(bytes, size, points.data(), needed, kFolding);
  const utf8proc_ssize_t count = utf8proc_normalize_utf32(points.data(), needed, kFolding);
  return {points.begin(), points.begin() + std::max<utf8proc_ssize_t>(0, count)};
}

// Whether a word goes on across the place between the two.
bool joins(char32_t left, char32_t right) {
  const auto is_spaced_letter = [](char32_t c) {
    if (c >= kFirstWithoutSpaces) return false;
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_ME) || category == UTF8PROC_CATEGORY_ND;
  };
  return is_spaced_letter(left) && is_spaced_letter(right);
}

bool contains(const std::u32string& text, const std::u32string& word) {
  for (auto at = text.find(word); at != std::u32string::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !joins(text[at - 1], word.front())) && (end == text.size() || !joins(word.back(), text[end])))
      return true;
  }
  return false;
}

}  // namespace

ContentPolicy::ContentPolicy(const std::vector<std::string>& blocked_words) {
  for (const std::string& word : blocked_words) {
    blocked_.push_back(folded(word));
    if (blocked_.back().empty())
      throw Error(ErrorKind::kBadRequest, "cannot block '" + word + "': needed a word in UTF-8");
  }
}

void ContentPolicy::check(const std::string& text, const char* field) const {
  if (blocked_.empty()) return;
  const std::u32string searched = folded(text);
  for (const std::u32string& word : blocked_)
    if (contains(searched, word))
      throw bad_field(field, std::string("'") + field + "' asks for what this server's content policy does not allow",
                      "content_policy_violation");
}

}  // namespace holdall::runtime::service
