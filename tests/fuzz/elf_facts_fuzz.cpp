#include "launcher/doctor/elf_facts.h"

#include <cstdint>

#include "tests/fuzz/fuzz.h"

// A host's file: any bytes give facts or none, and the facts are bounded.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  const fuzz::MemoryFile file(fuzz::text(data, size));
  if (const auto facts = launcher::read_elf(file.descriptor())) {
    fuzz::require(facts->needed_versions.size() <= 4096 && facts->provided_versions.size() <= 4096);
    for (const std::string& version : facts->needed_versions) fuzz::require(version.size() <= 256);
  }
  return 0;
}
