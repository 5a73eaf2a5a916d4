#include "packer/packed_file.h"

#include "packer/elf/edited_file.h"

namespace holdall::packer {

std::shared_ptr<const ReadableFile> packed_file(const PlannedMember& member) {
  std::shared_ptr<const ReadableFile> file;
  if (member.source.empty()) {
    file = std::make_shared<const MemoryFile>(member.entry.path, member.contents);
  } else {
    const std::uint64_t size =
        member.edit ? member.edit->original_size : original_size(member.entry.size, member.splices);
    file = std::make_shared<const InputFile>(open_found({member.source, size, member.mtime_ns}));
    if (member.edit) file = std::make_shared<const EditedFile>(std::move(file), *member.edit);
  }
  if (!member.splices.empty()) file = std::make_shared<const SplicedFile>(std::move(file), member.splices);
  return file;
}

}  // namespace holdall::packer
