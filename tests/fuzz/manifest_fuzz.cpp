#include "packer/manifest.h"

#include <cstdint>

#include "tests/fuzz/fuzz.h"

// Faults are values here: nothing may be thrown.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto reading = holdall::packer::parse_manifest(holdall::fuzz::text(data, size), "/m/manifest.json");
  holdall::fuzz::require(reading.manifest.has_value() == reading.faults.empty());
  return 0;
}
