#include "runtime/text/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

namespace holdall::runtime::text {
namespace {

using Code = utf8proc_int32_t;

Code code_point_at(std::string_view text, std::size_t offset) {
  Code code = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + offset,
                   static_cast<utf8proc_ssize_t>(text.size() - offset), &code);
  return code;
}

std::size_t last_start(std::string_view text) {
  std::size_t start = text.size() - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) --start;
  return start;
}

bool is_space(Code c) {  // White_Space
  return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// \w of Unicode's regular expressions (UTS 18, annex C), up to the few letter-like symbols of Other_Alphabetic.
bool is_word(Code c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200c || c == 0x200d;
  }
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) {
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const auto& a, const auto& b) { return a.content.size() > b.content.size(); });
  for (AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    by_first_byte_[static_cast<unsigned char>(token.content[0])].push_back(std::move(token));
  }
}

const AddedToken* AddedTokens::find_at(std::string_view text) const {
  for (const AddedToken& token : by_first_byte_[static_cast<unsigned char>(text[0])]) {
    if (text.starts_with(token.content)) return &token;
  }
  return nullptr;
}

std::vector<Piece> AddedTokens::split(std::string_view text) const {
  std::vector<Piece> pieces;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = find_at(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t start = at, end = at + token->content.size();
    at = end;
    if (token->single_word && ((start > 0 && is_word(code_point_at(text, last_start(text.substr(0, start))))) ||
                               (end < text.size() && is_word(code_point_at(text, end))))) {
      continue;
    }
    while (token->lstrip && start > done) {
      const std::size_t previous = last_start(text.substr(0, start));
      if (!is_space(code_point_at(text, previous))) break;
      start = previous;
    }
    while (token->rstrip && end < text.size() && is_space(code_point_at(text, end))) {
      do ++end;
      while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
    }
    if (start > done) pieces.push_back({-1, text.substr(done, start - done)});
    pieces.push_back({token->id, text.substr(start, end - start)});
    done = at = end;
  }
  if (done < text.size()) pieces.push_back({-1, text.substr(done)});
  return pieces;
}

}  // namespace holdall::runtime::text
