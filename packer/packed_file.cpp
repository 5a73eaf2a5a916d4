#include "packer/packed_file.h"

#include "packer/elf/edited_file.h"
#include "packer/elf_file.h"

namespace holdall::packer {

PackedFile packed_file(const PlannedMember& member) {
  PackedFile file;
  if (member.source.empty()) {
    file.bytes = std::make_shared<const MemoryFile>(member.entry.path, member.contents);
  } else {
    const std::uint64_t size =
        member.edit ? member.edit->original_size : original_size(member.entry.size, member.splices);
    file.input = std::make_shared<const InputFile>(open_found({member.source, size, member.mtime_ns}));
    file.bytes = file.input;
    if (member.edit) file.bytes = std::make_shared<const EditedFile>(file.input, *member.edit);
  }
  if (!member.splices.empty()) file.bytes = std::make_shared<const SplicedFile>(file.bytes, member.splices);
  return file;
}

bool is_elf(const PlannedMember& member) noexcept {
  return member.magic == ElfMagic::kUnknown ? has_elf_magic(member.source) : member.magic == ElfMagic::kPresent;
}

}  // namespace holdall::packer
