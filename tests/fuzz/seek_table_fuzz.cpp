#include "bundle/seek_table.h"

#include <cstdint>

#include "tests/fuzz/fuzz.h"

// The input is the end of an archive of `size` + 1000 bytes: footer and seek table.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdall::bundle;
  return holdall::fuzz::refuses_only_as_bad_bundle([&] {
    const std::span<const std::byte> tail(reinterpret_cast<const std::byte*>(data), size);
    const std::uint64_t archive = size + 1000;
    const std::uint64_t table = seek_table_frame_size(tail, archive);
    if (table + kFooterFrame > size) return;
    const Footer footer =
        parse_footer(tail.subspan(size - table - kFooterFrame, kFooterFrame), archive - table - kFooterFrame);
    parse_seek_table(tail.last(table), footer, archive);
  });
}
