// Qwen's byte-level BPE tokenizer: NFC, special tokens split first, PCRE2's Unicode classes. Knows nothing of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::runtime::text {

class Tokenizer {
 public:
  // `folder` holds tokenizer.json, or vocab.json + merges.txt + tokenizer_config.json (added tokens).
  // Throws runtime::Error{kNotFound, kBadModel}.
  static Tokenizer load(const std::filesystem::path& folder);
  Tokenizer(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Ids of `text` (UTF-8; invalid bytes become U+FFFD), the same as transformers' Qwen2Tokenizer gives. Thread-safe.
  std::vector<std::int64_t> encode(std::string_view text) const;
  // The id of an added token such as "<|image_pad|>". Throws Error{kBadModel} if the model has none.
  std::int64_t id_of(std::string_view token) const;
  // One more than the largest id.
  std::int64_t size() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::text
