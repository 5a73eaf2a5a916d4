#include "runtime/text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "runtime/error.h"
#include "runtime/text/added_tokens.h"
#include "runtime/text/bpe.h"
#include "runtime/text/splitter.h"
#include "runtime/text/unicode.h"
#include "runtime/text/vocabulary.h"

namespace holdall::runtime::text {
namespace {

enum class Stage { kBeforeNfc, kAfterNfc };

AddedTokens added_tokens(const Vocabulary& vocabulary, Stage stage) {
  std::vector<AddedToken> tokens;
  for (const AddedToken& token : vocabulary.added) {
    if (token.normalized != (stage == Stage::kAfterNfc)) continue;
    tokens.push_back(token);
    if (token.normalized) tokens.back().content = nfc(token.content);
  }
  return AddedTokens(std::move(tokens));
}

}  // namespace

struct Tokenizer::State {
  explicit State(const Vocabulary& vocabulary)
      : encoder(vocabulary),
        raw(added_tokens(vocabulary, Stage::kBeforeNfc)),
        normalized(added_tokens(vocabulary, Stage::kAfterNfc)) {
    for (const AddedToken& token : vocabulary.added) {
      added_ids.emplace(token.content, token.id);
      size = std::max(size, token.id + 1);
    }
    for (const auto& [token, id] : vocabulary.ids) size = std::max(size, id + 1);
  }

  Splitter splitter;
  BytePairEncoder encoder;
  AddedTokens raw, normalized;
  std::unordered_map<std::string, std::int64_t> added_ids;
  std::int64_t size = 0;
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
  return Tokenizer(std::make_unique<State>(read_vocabulary(folder)));
}

std::vector<std::int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int64_t> ids;
  const std::string valid = valid_utf8(text);
  for (const Piece& piece : state_->raw.split(valid)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      continue;
    }
    const std::string normal = nfc(std::string(piece.text));
    for (const Piece& part : state_->normalized.split(normal)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
        continue;
      }
      for (const std::string_view word : state_->splitter.split(part.text)) state_->encoder.encode(word, ids);
    }
  }
  return ids;
}

std::int64_t Tokenizer::id_of(std::string_view token) const {
  const auto found = state_->added_ids.find(std::string(token));
  if (found == state_->added_ids.end()) {
    throw Error(ErrorKind::kBadModel, "the tokenizer has no token '" + std::string(token) + "'");
  }
  return found->second;
}

std::int64_t Tokenizer::size() const {
  return state_->size;
}

}  // namespace holdall::runtime::text
