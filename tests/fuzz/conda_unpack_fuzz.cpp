#include <cstdint>

#include "launcher/foreign/conda_unpack.h"
#include "launcher/foreign/written_prefix.h"
#include "tests/fuzz/fuzz.h"

// What is accepted can be taken out of any contents (the script itself stands for them), and put back the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  return fuzz::refuses_only_as_bad_bundle([&] {
    const std::string text(fuzz::text(data, size));
    for (const launcher::PrefixRecord& record : launcher::parse_conda_unpack(text)) {
      const launcher::PackedContents packed = launcher::take_prefix_out(text, record);
      bundle::check_relocations(packed.relocations, packed.bytes.size());
      const bool absolute = record.placeholder.starts_with('/') && !record.placeholder.ends_with('/');
      const bool plain = record.placeholder.find_first_of(std::string_view("\0\n", 2)) == std::string::npos;
      if (absolute && plain && !packed.relocations.empty())
        fuzz::require(bundle::relocate(packed.bytes, packed.relocations, record.placeholder) == text);
    }
  });
}
