// Undoes what the packer changed in an ELF file: FORMAT.md, `elf`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "bundle/toc.h"

namespace holdall::bundle {

// Puts the vendor's bytes back into `window`, which stands at `offset` of the packed file. Returns the part of it that
// the vendor's file has, too; what lies behind was appended.
std::span<std::byte> undo_edit(const ElfRecord& record, std::uint64_t offset, std::span<std::byte> window);

}  // namespace holdall::bundle
