#include "bundle/bundle_info.h"

#include <cstdint>

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return holdall::fuzz::refuses_only_as_bad_bundle([&] {
    const std::string text = to_json(holdall::bundle::parse_bundle_info({reinterpret_cast<const char*>(data), size}));
    if (to_json(holdall::bundle::parse_bundle_info(text)) != text) std::abort();
  });
}
