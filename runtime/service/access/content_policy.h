// What is not to be asked for: a list of words, found whatever their case, width or composition.
#pragma once

#include <string>
#include <vector>

namespace holdall::runtime::service {

class ContentPolicy {
 public:
  ContentPolicy() = default;
  // `blocked_words`: words or phrases, UTF-8. In scripts that put spaces between words, only whole words count: "ass"
  // is not in "glass". Throws runtime::Error{kBadRequest} for an entry that is empty or no UTF-8.
  explicit ContentPolicy(const std::vector<std::string>& blocked_words);

  // Throws HttpError 400 content_policy_violation, naming the field but not the word.
  void check(const std::string& text, const char* field) const;

 private:
  std::vector<std::u32string> blocked_;  // folded
};

}  // namespace holdall::runtime::service
