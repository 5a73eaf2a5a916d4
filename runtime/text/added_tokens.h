// Finds added tokens in a text: leftmost first, of those that start together the longest.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/vocabulary.h"

namespace holdall::runtime::text {

// A piece of a text: an added token's id, or text between such tokens (id −1).
struct Piece {
  std::int64_t id = -1;
  std::string_view text;
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // The pieces of `text`, in which they point. Spaces that a token's lstrip or rstrip takes are in no piece of text.
  std::vector<Piece> split(std::string_view text) const;

 private:
  const AddedToken* find_at(std::string_view text) const;

  std::array<std::vector<AddedToken>, 256> by_first_byte_;  // longest first
};

}  // namespace holdall::runtime::text
