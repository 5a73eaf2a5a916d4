#include "packer/elf/edited_file.h"

#include <algorithm>
#include <cstring>

namespace holdall::packer {

EditedFile::EditedFile(std::shared_ptr<const ReadableFile> original, ElfEdit edit)
    : original_(std::move(original)), edit_(std::move(edit)), size_(edit_.size()) {}

std::size_t EditedFile::read_some(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t count = 0;
  if (offset < edit_.original_size) {
    count = read_original(offset, out.first(std::min<std::uint64_t>(out.size(), edit_.original_size - offset)));
    if (offset + count < edit_.original_size) return count;
  }
  return count + read_tail(offset + count - edit_.original_size, out.subspan(count));
}

std::size_t EditedFile::read_original(std::uint64_t offset, std::span<std::byte> out) const {
  const std::size_t count = original_->read_some(offset, out);
  const std::uint64_t end = offset + count;
  for (const bundle::ElfPatch& patch : edit_.patches) {
    const std::uint64_t from = std::max(patch.offset, offset);
    const std::uint64_t to = std::min<std::uint64_t>(patch.offset + patch.new_bytes.size(), end);
    if (from < to) std::memcpy(out.data() + (from - offset), patch.new_bytes.data() + (from - patch.offset), to - from);
  }
  return count;
}

// `offset` counts from the start of the tail.
std::size_t EditedFile::read_tail(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  for (const ElfTailPiece& piece : edit_.tail) {
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    const auto window = out.subspan(done, std::min<std::uint64_t>(out.size() - done, piece.size() - offset));
    if (window.empty()) break;
    if (piece.bytes.empty()) {
      const std::size_t count = original_->read_some(piece.copy_offset + offset, window);
      done += count;
      if (count < window.size()) break;
    } else {
      std::memcpy(window.data(), piece.bytes.data() + offset, window.size());
      done += window.size();
    }
    offset = 0;
  }
  return done;
}

}  // namespace holdall::packer
