#include "packer/packed_file.h"

#include "packer/elf/edited_file.h"
#include "packer/elf_file.h"

namespace holdall::packer {

PackedFile packed_file(const PlannedMember& member) {
  PackedFile file;
  if (member.source.empty()) {
    file.bytes = std::make_shared<const MemoryFile>(member.entry.path, member.special().contents);
  } else {
    const std::uint64_t size = member.special().edit ? member.special().edit->original_size
                                                     : original_size(member.entry.size, member.special().splices);
    file.input = std::make_shared<const InputFile>(open_found({member.source, size, member.mtime_ns}));
    file.bytes = file.input;
    if (member.special().edit) file.bytes = std::make_shared<const EditedFile>(file.input, *member.special().edit);
  }
  if (!member.special().splices.empty())
    file.bytes = std::make_shared<const SplicedFile>(file.bytes, member.special().splices);
  return file;
}

bool is_elf(const PlannedMember& member) noexcept {
  return member.magic == ElfMagic::kUnknown ? has_elf_magic(member.source) : member.magic == ElfMagic::kPresent;
}

}  // namespace holdall::packer
