// The TOC as it stands in the archive: compressed, made while its JSON is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bundle/digest.h"
#include "bundle/entry_store.h"

namespace holdall::bundle {

struct PackedToc {
  std::vector<std::vector<std::byte>> frame;  // of zstd, says how large its content is; in pieces, as it may be 100 MB
  std::size_t size = 0;                       // of the frame
  Digest digest{};                            // of the frame
};

// `json_bytes`: of the JSON of `entries`, as TocJson makes it; `level` is zstd's.
PackedToc pack_toc(const EntryStore& entries, std::uint64_t json_bytes, int level);

// The inverse, of untrusted bytes. Throws Error{kBadBundle}, as parse_toc() does too.
Toc unpack_toc(std::span<const std::byte> frame);

}  // namespace holdall::bundle
