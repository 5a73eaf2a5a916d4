// Cuts text into the words that BPE sees one by one, by Qwen's pattern.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::runtime::text {

class Splitter {
 public:
  // The pattern as Qwen2's tokenizer.json writes it: the only one known.
  static const char* pattern();

  Splitter();
  Splitter(Splitter&&) noexcept;
  ~Splitter();

  // Words of valid UTF-8, in order; together they are the whole of `text`, in which they point. Thread-safe.
  std::vector<std::string_view> split(std::string_view text) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::text
