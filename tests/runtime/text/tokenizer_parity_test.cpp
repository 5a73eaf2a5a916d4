// Ids as transformers' Qwen2Tokenizer gives them, on the strings of tests/data/parity/make_tokens.py.
#include "runtime/text/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace holdall::runtime::text {
namespace {

const std::filesystem::path kFixtures = HOLDALL_TOKENS;

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

class TokenizerParity : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerParity, GivesTheReferencesIds) {
  const auto strings = lines_of(kFixtures / "strings.txt");
  const auto expected = lines_of(kFixtures / GetParam() / "ids.txt");
  ASSERT_GE(strings.size(), 300U);
  ASSERT_EQ(strings.size(), expected.size());
  const Tokenizer tokenizer = Tokenizer::load(kFixtures / GetParam());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < strings.size() && wrong < 20; ++i) {
    std::ostringstream ids;
    for (const std::int64_t id : tokenizer.encode(from_hex(strings[i]))) ids << (ids.tellp() > 0 ? " " : "") << id;
    if (ids.str() == expected[i]) continue;
    ++wrong;
    ADD_FAILURE() << "string " << i + 1 << ": " << from_hex(strings[i]).substr(0, 400)
                  << "\n  ours:      " << ids.str().substr(0, 400) << "\n  reference: " << expected[i].substr(0, 400);
  }
}

INSTANTIATE_TEST_SUITE_P(, TokenizerParity, testing::Values("json", "strings", "pair", "flags"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace holdall::runtime::text
