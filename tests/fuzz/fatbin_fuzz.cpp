#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "packer/fatbin.h"
#include "packer/requirements.h"

// Any bytes give an answer: what could be read, and a fault for the rest. Nothing outside is asked for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall::packer;
  const Kernels kernels = parse_fatbins(size, [&](std::uint64_t offset, std::span<std::byte> out) {
    if (offset > size || out.size() > size - offset) std::abort();
    std::memcpy(out.data(), data + offset, out.size());
  });
  std::uint64_t bytes = 0;
  for (const auto* targets : {&kernels.cubin, &kernels.ptx}) {
    for (const auto& [target, amount] : *targets) {
      if (amount.fatbins == 0 || amount.fatbins > kernels.fatbins) {
        if (kernels.fault.empty()) std::abort();
      }
      bytes += amount.bytes;
    }
  }
  if (bytes > size) std::abort();
  if (served_targets(kernels).empty() != all_targets(kernels).empty()) std::abort();
  return 0;
}
