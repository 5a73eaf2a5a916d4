#include <cstdint>
#include <cstdlib>

#include "bundle/relocation_list.h"
#include "tests/fuzz/fuzz.h"

// What is accepted is written the same again, and its records can be gone through.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return holdall::fuzz::refuses_only_as_bad_bundle([&] {
    using namespace holdall::bundle;
    const RelocationList list = parse_relocation_list({reinterpret_cast<const char*>(data), size});
    const std::string text = to_json(list);
    if (to_json(parse_relocation_list(text)) != text) std::abort();
    for (const RelocatedFile& file : list.files) {
      check_relocations(file.records, file.size);
      if (longest_prefix(file.records).value_or(1) == 0) std::abort();
    }
  });
}
