// Which bytes of the dynamic string table belong to one name alone. Linkers store a name that ends another one inside
// it, so what looks like the bytes of a library path may also be a symbol's name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "packer/elf_file.h"

namespace holdall::packer {

struct NameBytes {
  std::uint64_t index = 0;   // where the name starts in the string table
  std::uint64_t length = 0;  // without its NUL
  std::uint64_t own = 0;     // this many bytes from `index` on are in no other name; the NUL behind is not counted
  std::optional<std::uint64_t> sharer{};  // where the other name starts

  // The longest text that fits, with a NUL behind it.
  std::uint64_t room() const { return own == length ? length : own == 0 ? 0 : own - 1; }
};

// `indices` are those of library paths: DT_RPATH and DT_RUNPATH are not "other names".
std::vector<NameBytes> names_at(const ElfFile& file, std::span<const std::uint64_t> indices);

}  // namespace holdall::packer
