// A prompt, as anybody sends it, through the random model's tokenizer.
#include <cstdint>

#include "runtime/text/splitter.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/unicode.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  using namespace holdall::runtime::text;
  static const Tokenizer tokenizer = Tokenizer::load(HOLDALL_TOKENIZER);
  static const Splitter splitter;
  const std::string valid = valid_utf8(fuzz::text(data, size));
  fuzz::require(valid_utf8(valid) == valid);
  const std::string normal = nfc(valid);
  fuzz::require(nfc(normal) == normal);
  std::string joined;
  for (const std::string_view word : splitter.split(normal)) joined += word;
  fuzz::require(joined == normal);
  fuzz::require(tokenizer.encode(fuzz::text(data, size)) == tokenizer.encode(valid));
  return 0;
}
