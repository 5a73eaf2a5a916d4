#include "packer/elf/patch_list.h"

#include <algorithm>

namespace holdall::packer {
namespace {

constexpr std::size_t kJoined = 8;  // as many equal bytes do not end a patch: another one would cost more in the TOC

}  // namespace

void PatchList::change(std::uint64_t offset, std::string_view old_bytes, std::string_view new_bytes) {
  std::size_t equal = kJoined + 1;  // bytes since the last difference
  for (std::size_t i = 0; i < old_bytes.size(); ++i) {
    if (old_bytes[i] == new_bytes[i]) {
      ++equal;
      continue;
    }
    if (equal > kJoined) {
      patches_.push_back({offset + i, std::string(1, old_bytes[i]), std::string(1, new_bytes[i])});
    } else {
      patches_.back().old_bytes.append(old_bytes, i - equal, equal + 1);
      patches_.back().new_bytes.append(new_bytes, i - equal, equal + 1);
    }
    equal = 0;
  }
}

void PatchList::replace(std::uint64_t offset, std::string old_text, std::string new_text) {
  if (old_text != new_text) patches_.push_back({offset, std::move(old_text), std::move(new_text)});
}

std::vector<bundle::ElfPatch> PatchList::take() {
  std::ranges::sort(patches_, {}, &bundle::ElfPatch::offset);
  return std::move(patches_);
}

}  // namespace holdall::packer
