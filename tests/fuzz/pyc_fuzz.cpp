#include <cstdint>
#include <cstdlib>

#include "packer/relocation/pyc.h"

// What is read can be read again, and then has nothing left to change.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall::packer;
  static const std::vector<PrefixSpelling> kPrefixes{{"/opt/env", ""}, {"/b", "base"}};
  const PycRules rules{kPrefixes, 1'700'000'000};
  const auto once = relocatable_pyc({reinterpret_cast<const char*>(data), size}, rules);
  if (!once) return 0;
  const auto twice = relocatable_pyc(*once, rules);
  if (!twice || *twice != *once) std::abort();
  return 0;
}
