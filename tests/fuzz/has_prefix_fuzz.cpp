#include "packer/inputs/conda_record.h"
#include "tests/fuzz/fuzz.h"

// info/has_prefix, and info/files beside it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  const std::string_view text = fuzz::text(data, size);
  for (const packer::CondaPath& path : packer::parse_files_list(text)) fuzz::require(!path.path.empty());
  return fuzz::refuses_only_as<bundle::Error>({bundle::ErrorKind::kCannotPack}, [&] {
    for (const packer::CondaPath& path : packer::parse_has_prefix(text, "info/has_prefix"))
      fuzz::require(path.use != packer::PrefixUse::kNone && !path.placeholder.empty());
  });
}
