// What a tokenizer's files say, read and checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace holdall::runtime::text {

// A token that is found in the text as it stands, before BPE. The flags are those of the `tokenizers` library.
struct AddedToken {
  std::string content;
  std::int64_t id = 0;
  bool normalized = false;   // looked for after NFC, not before
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the spaces on its left
  bool rstrip = false;       // and on its right
};

struct Vocabulary {
  std::unordered_map<std::string, std::int64_t> ids;        // by token, in the byte-level alphabet
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::vector<AddedToken> added;
  bool ignore_merges = false;  // a word that is a token is not merged
};

// Reads tokenizer.json, or else vocab.json + merges.txt; added tokens also from tokenizer_config.json and
// added_tokens.json. Refuses what would tokenize otherwise than Qwen's: another model, pattern or normalizer.
// Throws Error{kNotFound, kBadModel} naming the file.
Vocabulary read_vocabulary(const std::filesystem::path& folder);

}  // namespace holdall::runtime::text
