#include "runtime/weights/lora.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <cstdint>

#include "runtime/error.h"
#include "tests/fuzz/fuzz.h"

// Keys and metadata of a LoRA file, merged into two layers of a model.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  const fuzz::MemoryFile file(fuzz::text(data, size));
  return fuzz::refuses_only_as<runtime::Error>({runtime::ErrorKind::kBadModel}, [&] {
    auto lora = runtime::weights::Lora::open(file.path(), 0.5);
    for (const char* module : {"img_in", "transformer_blocks.0.attn.to_q"}) {
      const at::Tensor weight = at::zeros({2, 2});
      lora.apply(module, weight);
      fuzz::require(weight.isfinite().all().item<bool>());
    }
    lora.require_applied();
  });
}
