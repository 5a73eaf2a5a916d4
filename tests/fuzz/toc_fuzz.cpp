#include <cstdint>

#include "bundle/toc.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return holdall::fuzz::refuses_only_as_bad_bundle([&] {
    const std::string text = to_json(holdall::bundle::parse_toc({reinterpret_cast<const char*>(data), size}));
    if (to_json(holdall::bundle::parse_toc(text)) != text) std::abort();
  });
}
