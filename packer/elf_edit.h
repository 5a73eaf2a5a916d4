// Plans the change of a few bytes of an ELF file, so that gigabytes are streamed and never rewritten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bundle/toc.h"
#include "packer/elf_file.h"

namespace holdall::packer {

// DT_RPATH also serves indirect needs and beats LD_LIBRARY_PATH, so that nothing of the host's leaks in.
enum class RpathTag { kRpath, kRunpath };

struct ElfWant {
  std::optional<std::string> rpath;
  RpathTag rpath_tag = RpathTag::kRpath;
  std::optional<std::string> interpreter;
};

struct ElfEdit {
  std::vector<bundle::ElfPatch> patches;  // ascending, apart
  std::string tail;                       // to append; empty for edits in place
  std::uint64_t original_size = 0;
  bool empty() const { return patches.empty() && tail.empty(); }
};

// In place: the new string takes the old one's bytes, the rest becomes NUL, and the tag is flipped on its own. Nothing
// is planned for what is already as wanted. Throws Error{kCannotPack} naming the file and the reason when that is not
// possible: no path entry, two of them, a longer new string, or another name that shares the old one's bytes.
ElfEdit plan_edit(const ElfFile& file, const ElfWant& want);

// Applies the patches that fall into `window`, which stands at `offset` of the file.
void apply_patches(const std::vector<bundle::ElfPatch>& patches, std::uint64_t offset, std::span<std::byte> window);

}  // namespace holdall::packer
