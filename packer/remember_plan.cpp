#include "packer/remember_plan.h"

#include <algorithm>

#include "packer/leak_audit.h"

namespace holdall::packer {

std::string name_of(const Box<ElfEdit>& edit) {
  if (!edit) return "";
  std::string text = std::to_string(edit->original_size);
  const auto add = [&](const std::string& bytes) { text += ":" + std::to_string(bytes.size()) + ":" + bytes; };
  for (const bundle::ElfPatch& patch : edit->patches) {
    add(std::to_string(patch.offset));
    add(patch.new_bytes);
  }
  for (const ElfTailPiece& piece : edit->tail) {
    add(piece.bytes);
    add(std::to_string(piece.copy_offset));
    add(std::to_string(piece.copy_size));
  }
  return bundle::to_hex(bundle::sha256(std::as_bytes(std::span(text))));
}

bool is_streamed(const PlannedMember& member) {
  return !member.source.empty() && member.special().splices.empty() && member.entry.size != 0;
}

const RememberedFile* known_as_planned(const Remembered* remembered, const PlannedMember& member) {
  if (remembered == nullptr || !is_streamed(member)) return nullptr;
  const RememberedFile* const known = remembered->find(member.source);
  return known != nullptr && known->edit == name_of(member.special().edit) ? known : nullptr;
}

const Remembered* known_without(const std::vector<PrefixSpelling>& prefixes, const std::string& what,
                                Remembered* remembered) {
  if (remembered == nullptr) return nullptr;
  std::string text;
  std::vector<LeakSource> sources;
  for (const PrefixSpelling& prefix : prefixes) {
    text += prefix.text + "\n";
    sources.push_back({prefix.text, "build prefix", LeakKind::kPath});
  }
  remembered->depend_on(what, text);
  const LeakPatterns audited(sources);
  const auto is_audited = [&](const PrefixSpelling& prefix) {
    return std::ranges::any_of(audited.sources(), [&](const LeakSource& source) {
      return (prefix.text + "/").starts_with(source.text + "/");
    });
  };
  return std::ranges::all_of(prefixes, is_audited) ? remembered : nullptr;
}

}  // namespace holdall::packer
