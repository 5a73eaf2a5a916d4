// The TOC as it stands in the archive: compressed, made while its JSON is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bundle/toc.h"

namespace holdall::bundle {

struct PackedToc {
  std::vector<std::byte> frame;  // of zstd, says how large its content is
  std::uint64_t json_bytes = 0;
};

// `for_each_entry` is called twice and shows its visitor every entry, in archive order; the JSON is made twice, the
// first time to know its size. `level` is zstd's. Throws Error{kCannotPack} if there are too many entries for one TOC.
using EntryVisitor = std::function<void(const Entry&)>;
PackedToc pack_toc(const std::function<void(const EntryVisitor&)>& for_each_entry, int level);

// The inverse, of untrusted bytes. Throws Error{kBadBundle}, as parse_toc() does too.
Toc unpack_toc(std::span<const std::byte> frame);

}  // namespace holdall::bundle
