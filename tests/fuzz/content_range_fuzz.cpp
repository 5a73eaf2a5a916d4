// Content-Range of a server's answer.
#include "launcher/fetch/content_range.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using holdall::fuzz::require;
  using holdall::launcher::parse_content_range;
  const auto range = parse_content_range(holdall::fuzz::text(data, size));
  if (!range) return 0;
  require(range->begin <= range->last && range->last < range->total);
  const auto again = parse_content_range("bytes " + std::to_string(range->begin) + "-" + std::to_string(range->last) +
                                         "/" + std::to_string(range->total));
  require(again && again->begin == range->begin && again->last == range->last && again->total == range->total);
  return 0;
}
