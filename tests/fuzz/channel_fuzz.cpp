// Frames between service and worker.
#include "runtime/ipc/channel.h"

#include <cstdint>

#include "runtime/error.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  std::string_view rest = fuzz::text(data, size);
  return fuzz::refuses_only_as<runtime::Error>({runtime::ErrorKind::kInternal}, [&] {
    runtime::ipc::Decoder decoder;
    decoder.feed(rest.data(), rest.size());
    while (const auto frame = decoder.next()) {
      const std::string bytes = encode(*frame);
      fuzz::require(rest.starts_with(bytes));
      rest.remove_prefix(bytes.size());
    }
    fuzz::require(decoder.partial() == !rest.empty());
  });
}
