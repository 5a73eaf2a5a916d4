#include <cstdint>

#include "runtime/error.h"
#include "runtime/image/codec.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  constexpr std::uint64_t kMaxPixels = 1 << 16;
  return fuzz::refuses_only_as<runtime::Error>({runtime::ErrorKind::kBadRequest}, [&] {
    const auto picture = runtime::image::decode(std::as_bytes(std::span(data, size)), kMaxPixels);
    const auto pixels = static_cast<std::uint64_t>(picture.width) * static_cast<std::uint64_t>(picture.height);
    fuzz::require(picture.width > 0 && picture.height > 0 && pixels <= kMaxPixels);
    fuzz::require(picture.rgb.size() == pixels * 3);
  });
}
