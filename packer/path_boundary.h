// When bytes that equal a path are that path, and not a part of another: the rule that rewriting and the leak audit
// share.
#pragma once

#include <cstddef>
#include <string_view>

namespace holdall::packer {

constexpr bool is_name_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Right: the next character is not one of [A-Za-z0-9_+-], and a dot counts as a boundary only when no name character
// follows: "/p" ends before ":", "/x" or ". ", and not before "2", "-old" or ".bak".
constexpr bool path_ends_before(std::string_view after) {
  if (after.empty()) return true;
  if (after[0] == '.') return after.size() < 2 || !is_name_character(after[1]);
  return !is_name_character(after[0]) && after[0] != '+';
}

// Left: walking back over [A-Za-z0-9._-] must not arrive at a '/': "-I/p" holds "/p", "/backup/p" does not. A '/' right
// before it is the end of "file://", not a folder's name.
constexpr bool path_starts_after(std::string_view before) {
  std::size_t at = before.size();
  while (at > 0 && (is_name_character(before[at - 1]) || before[at - 1] == '.')) --at;
  return at == before.size() || at == 0 || before[at - 1] != '/';
}

constexpr bool is_path_at(std::string_view text, std::size_t at, std::size_t length) {
  return path_starts_after(text.substr(0, at)) && path_ends_before(text.substr(at + length));
}

// For a host name: a whole word. A domain may follow it.
constexpr bool is_word_at(std::string_view text, std::size_t at, std::size_t length) {
  const bool starts = at == 0 || (!is_name_character(text[at - 1]) && text[at - 1] != '.');
  return starts && (at + length == text.size() || !is_name_character(text[at + length]));
}

}  // namespace holdall::packer
