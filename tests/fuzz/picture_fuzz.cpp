#include <cstdint>

#include "runtime/error.h"
#include "runtime/image/codec.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  using runtime::ErrorKind;
  constexpr std::uint64_t kMaxPixels = 1 << 16;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto check = [](const runtime::image::Picture& picture) {
    const auto pixels = static_cast<std::uint64_t>(picture.width) * static_cast<std::uint64_t>(picture.height);
    fuzz::require(picture.width > 0 && picture.height > 0 && pixels <= kMaxPixels);
    fuzz::require(picture.rgb.size() == pixels * 3);
  };
  fuzz::refuses_only_as<runtime::Error>({ErrorKind::kBadRequest, ErrorKind::kTooLarge},
                                        [&] { check(runtime::image::decode_mask(bytes, kMaxPixels)); });
  return fuzz::refuses_only_as<runtime::Error>({ErrorKind::kBadRequest, ErrorKind::kTooLarge},
                                               [&] { check(runtime::image::decode(bytes, kMaxPixels)); });
}
