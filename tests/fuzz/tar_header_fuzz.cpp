#include <cstdint>
#include <cstring>

#include "bundle/error.h"
#include "bundle/tar_header.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall::bundle;
  return holdall::fuzz::refuses_only_as_bad_bundle([&] {
    read_tar_header([&](std::span<std::byte> block) {
      if (size < block.size()) throw Error(ErrorKind::kBadBundle, "the end");
      std::memcpy(block.data(), data, block.size());
      data += block.size();
      size -= block.size();
    });
  });
}
