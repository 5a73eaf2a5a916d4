// A tokenizer's files, each up to a NUL: tokenizer.json, vocab.json, merges.txt, tokenizer_config.json,
// added_tokens.json. One that is empty is not there.
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "runtime/error.h"
#include "runtime/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  using runtime::ErrorKind;
  static const std::filesystem::path folder = "tokenizer_files.folder";  // below the build folder, where tests run
  std::filesystem::create_directories(folder);
  std::string_view rest = fuzz::text(data, size);
  for (const char* name :
       {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"}) {
    const std::string_view contents = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(contents.size() + 1, rest.size()));
    const auto path = folder / name;
    if (contents.empty()) {
      std::filesystem::remove(path);
    } else {
      std::ofstream(path, std::ios::binary) << contents;
    }
  }
  return fuzz::refuses_only_as<runtime::Error>({ErrorKind::kBadModel, ErrorKind::kNotFound}, [&] {
    const auto tokenizer = runtime::text::Tokenizer::load(folder);
    for (const std::int64_t id : tokenizer.encode("hello <|im_start|> h\xc3\xa9llo \xff")) fuzz::require(id >= 0);
  });
}
