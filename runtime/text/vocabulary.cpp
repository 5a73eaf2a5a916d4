#include "runtime/text/vocabulary.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/error.h"
#include "runtime/text/splitter.h"
#include "runtime/weights/json.h"

namespace holdall::runtime::text {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw Error(ErrorKind::kBadModel, "cannot use '" + file.string() + "': " + why);
}

// Runs `read` on the parsed file; any wrong type or absent field in it becomes an Error that names the file.
template <typename Read>
void with_json(const fs::path& file, Read read) {
  try {
    read(weights::parse_object(weights::read_text(file), "'" + file.string() + "'"));
  } catch (const Json::exception& error) {
    refuse(file, error.what());
  }
}

bool flag(const Json& token, const char* name) {
  return token.contains(name) && token.at(name).get<bool>();
}

void add(Vocabulary& vocabulary, AddedToken token) {
  if (token.content.empty()) return;
  const auto same = [&](const AddedToken& other) { return other.content == token.content; };
  if (std::none_of(vocabulary.added.begin(), vocabulary.added.end(), same))
    vocabulary.added.push_back(std::move(token));
}

// A whole number that fits 32 bits: get() alone would cut 1.5 to 1 and take true for it.
std::int64_t token_id(const fs::path& file, const std::string& token, const Json& id) {
  constexpr std::int64_t kLargest = INT32_MAX;
  if (!id.is_number_integer() || id > kLargest || id < 0) refuse(file, "the id of '" + token + "' is " + id.dump());
  return id.get<std::int64_t>();
}

void add(Vocabulary& vocabulary, const Json& token, std::int64_t id) {
  add(vocabulary, {token.at("content").get<std::string>(), id, flag(token, "normalized"), flag(token, "single_word"),
                   flag(token, "lstrip"), flag(token, "rstrip")});
}

// "a b", as in merges.txt and older tokenizer.json.
std::pair<std::string, std::string> merge_of(const fs::path& file, const std::string& line) {
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string::npos || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string::npos) {
    refuse(file, "the merge '" + line + "' is not two tokens and a space");
  }
  return {line.substr(0, space), line.substr(space + 1)};
}

void check_type(const fs::path& file, const Json& part, const char* name, const std::string& needed) {
  const std::string type = part.is_object() ? part.value("type", "") : "none";
  if (type != needed) refuse(file, std::string(name) + " is '" + type + "', not '" + needed + "'");
}

// Only such as add no token: none, byte level (offsets), or a template that is the text alone.
void check_post_processor(const fs::path& file, const Json& processor) {
  if (processor.is_null()) return;
  if (processor.value("type", "") == "TemplateProcessing") {
    for (const Json& part : processor.at("single")) {
      if (!part.contains("Sequence")) refuse(file, "the post-processor adds tokens: " + part.dump());
    }
  } else {
    check_type(file, processor, "the post-processor", "ByteLevel");
  }
}

void check_pipeline(const fs::path& file, const Json& json) {
  check_type(file, json.at("model"), "the model", "BPE");
  check_type(file, json.value("normalizer", Json()), "the normalizer", "NFC");
  check_post_processor(file, json.value("post_processor", Json()));
  const Json& words = json.at("pre_tokenizer");
  check_type(file, words, "the pre-tokenizer", "Sequence");
  const Json& steps = words.at("pretokenizers");
  if (steps.size() != 2) refuse(file, "the pre-tokenizer has " + std::to_string(steps.size()) + " steps, not 2");
  check_type(file, steps.at(0), "the first pre-tokenizer", "Split");
  check_type(file, steps.at(1), "the second pre-tokenizer", "ByteLevel");
  const Json& pattern = steps.at(0).at("pattern");
  if (!pattern.contains("Regex") || pattern.at("Regex") != Splitter::pattern() ||
      steps.at(0).at("behavior") != "Isolated" || flag(steps.at(0), "invert") ||
      flag(steps.at(1), "add_prefix_space") || flag(steps.at(1), "use_regex")) {
    refuse(file, "its words are not cut by Qwen2's pattern: " + words.dump());
  }
  const Json& model = json.at("model");
  for (const char* option : {"dropout", "unk_token"}) {
    if (model.contains(option) && !model.at(option).is_null()) {
      refuse(file, std::string("the model's '") + option + "' is not known here: " + model.at(option).dump());
    }
  }
  for (const char* option : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const bool is_set = model.contains(option) && !model.at(option).is_null();
    if (is_set && !(model.at(option).is_string() && model.at(option).get_ref<const std::string&>().empty())) {
      refuse(file, std::string("the model's '") + option + "' is not known here: " + model.at(option).dump());
    }
  }
}

void read_tokenizer_json(const fs::path& file, Vocabulary& vocabulary) {
  with_json(file, [&](const Json& json) {
    check_pipeline(file, json);
    const Json& model = json.at("model");
    vocabulary.ignore_merges = flag(model, "ignore_merges");
    for (const auto& [token, id] : model.at("vocab").items()) vocabulary.ids.emplace(token, token_id(file, token, id));
    for (const Json& merge : model.at("merges")) {
      if (merge.is_string()) {
        vocabulary.merges.push_back(merge_of(file, merge.get<std::string>()));
      } else {
        vocabulary.merges.emplace_back(merge.at(0).get<std::string>(), merge.at(1).get<std::string>());
      }
    }
    if (!json.contains("added_tokens")) return;
    for (const Json& token : json.at("added_tokens"))
      add(vocabulary, token, token_id(file, token.at("content").get<std::string>(), token.at("id")));
  });
}

void read_vocab_and_merges(const fs::path& folder, Vocabulary& vocabulary) {
  const fs::path vocab = folder / "vocab.json";
  with_json(vocab, [&](const Json& json) {
    for (const auto& [token, id] : json.items()) vocabulary.ids.emplace(token, token_id(vocab, token, id));
  });
  const fs::path file = folder / "merges.txt";
  std::istringstream lines(weights::read_text(file));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    vocabulary.merges.push_back(merge_of(file, line));
  }
}

}  // namespace

Vocabulary read_vocabulary(const fs::path& folder) {
  Vocabulary vocabulary;
  if (fs::exists(folder / "tokenizer.json")) {
    read_tokenizer_json(folder / "tokenizer.json", vocabulary);
  } else if (fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    read_vocab_and_merges(folder, vocabulary);
  } else {
    throw Error(ErrorKind::kNotFound,
                "no tokenizer in '" + folder.string() + "': need tokenizer.json, or vocab.json and merges.txt");
  }
  if (const fs::path file = folder / "tokenizer_config.json"; fs::exists(file)) {
    with_json(file, [&](const Json& json) {
      if (!json.contains("added_tokens_decoder")) return;
      for (const auto& [id, token] : json.at("added_tokens_decoder").items()) {
        if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos) {
          refuse(file, "'" + id + "' in added_tokens_decoder is no token id");
        }
        add(vocabulary, token, std::stol(id));
      }
    });
  }
  if (const fs::path file = folder / "added_tokens.json"; fs::exists(file)) {
    with_json(file, [&](const Json& json) {
      for (const auto& [content, id] : json.items())
        add(vocabulary, {.content = content, .id = token_id(file, content, id)});
    });
  }
  return vocabulary;
}

}  // namespace holdall::runtime::text
