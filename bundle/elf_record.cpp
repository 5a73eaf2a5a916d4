#include "bundle/elf_record.h"

#include <algorithm>
#include <cstring>

namespace holdall::bundle {

std::span<std::byte> undo_edit(const ElfRecord& record, std::uint64_t offset, std::span<std::byte> window) {
  if (offset >= record.original_size) return {};
  window = window.first(std::min<std::uint64_t>(window.size(), record.original_size - offset));
  const std::uint64_t end = offset + window.size();
  for (const ElfPatch& patch : record.patches) {
    const std::uint64_t from = std::max(patch.offset, offset);
    const std::uint64_t to = std::min<std::uint64_t>(patch.offset + patch.old_bytes.size(), end);
    if (from < to)
      std::memcpy(window.data() + (from - offset), patch.old_bytes.data() + (from - patch.offset), to - from);
  }
  return window;
}

}  // namespace holdall::bundle
