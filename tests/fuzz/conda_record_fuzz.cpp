#include "packer/inputs/conda_record.h"
#include "tests/fuzz/fuzz.h"

// A record, and the addresses in it: without who was let in, they are no longer than before.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall;
  const std::string_view text = fuzz::text(data, size);
  return fuzz::refuses_only_as<bundle::Error>({bundle::ErrorKind::kCannotPack}, [&] {
    const packer::CondaRecord record = packer::parse_conda_record(text, "conda-meta/x.json");
    fuzz::require(!record.name.empty());
    const std::string once = packer::without_credentials(record.channel);
    fuzz::require(once.size() <= record.channel.size());
    for (const packer::CondaPath& path : record.paths)
      fuzz::require(!path.path.empty() && path.placeholder.empty() == (path.use == packer::PrefixUse::kNone));
  });
}
