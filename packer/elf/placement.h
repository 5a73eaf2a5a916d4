// Where the bytes that are appended to a file go in its address space, and the program headers that put them there.
#pragma once

#include <cstdint>
#include <vector>

#include "packer/elf/edit.h"

namespace holdall::packer {

// What the tail holds decides how it is mapped: a dynamic section is written to by the loader.
enum class TailAccess { kReadOnly, kWritable };

struct TailPlace {
  ElfPlacement kind = ElfPlacement::kAuto;
  std::uint64_t offset = 0, address = 0;  // of the tail's first byte after the padding that aligns it
  std::uint64_t headers_size = 0;         // of the program headers that the tail starts with (kNewHeaders)
  std::vector<Elf64_Phdr> segments{};     // all of them, in the order of the new table
  std::size_t segment = 0;                // the one that maps the tail; its sizes are the caller's to fill in
};

// Throws Error{kCannotPack}, whose message starts with `goal`, if `wanted` (or, for kAuto, none) can serve.
TailPlace place_tail(const ElfFile& file, ElfPlacement wanted, TailAccess access, const std::string& goal);

}  // namespace holdall::packer
