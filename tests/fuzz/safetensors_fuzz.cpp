#include "runtime/weights/safetensors.h"

#include <cstdint>

#include "runtime/error.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  const fuzz::MemoryFile file(fuzz::text(data, size));
  return fuzz::refuses_only_as<runtime::Error>({runtime::ErrorKind::kBadModel}, [&] {
    const auto tensors = runtime::weights::Safetensors::open(file.path());
    for (const std::string& name : tensors.names()) {
      const at::Tensor view = tensors.view(name);
      fuzz::require(view.nbytes() <= size);
      fuzz::require(view.equal(view.clone()) || view.is_floating_point());  // reads every byte; NaN is not equal
    }
  });
}
