// Byte-level byte-pair encoding of one word.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/text/vocabulary.h"

namespace holdall::runtime::text {

class BytePairEncoder {
 public:
  // Throws Error{kBadModel} for a merge of, or into, what is no token.
  explicit BytePairEncoder(const Vocabulary& vocabulary);

  // Appends the word's ids. A byte without a token is left out, as in the `tokenizers` library. n log n.
  void encode(std::string_view word, std::vector<std::int64_t>& ids) const;

 private:
  struct Merge {
    std::uint32_t rank;
    std::uint32_t id;
  };
  const Merge* merge_of(std::uint32_t left, std::uint32_t right) const;

  std::array<std::int64_t, 256> byte_ids_;               // −1: none
  std::unordered_map<std::uint64_t, Merge> merges_;      // by left << 32 | right
  std::unordered_map<std::string, std::int64_t> words_;  // by raw bytes; only with ignore_merges
};

}  // namespace holdall::runtime::text
