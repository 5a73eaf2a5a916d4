#include "runtime/worker/tokenize_command.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/error.h"
#include "runtime/text/tokenizer.h"

namespace holdall::runtime::worker {

void run_tokenize(const std::filesystem::path& model, std::istream& in, std::ostream& out) {
  const auto tokenizer = text::Tokenizer::load(model / "tokenizer");
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const auto prompt = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!prompt.is_string())
      throw Error(ErrorKind::kBadRequest, "line " + std::to_string(number) + " is no JSON string", "prompt");
    out << nlohmann::json(tokenizer.encode(prompt.get_ref<const std::string&>())).dump() << '\n' << std::flush;
  }
  if (!out) throw Error(ErrorKind::kStorage, "cannot write to standard output");
}

}  // namespace holdall::runtime::worker
