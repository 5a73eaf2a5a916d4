#include "packer/remember_pack.h"

#include "packer/packed_file.h"
#include "packer/remember_plan.h"

namespace holdall::packer {
RememberPack::RememberPack(const PackOptions& options, const PackPlan& plan, const LeakPatterns& patterns,
                           bundle::Writer* frames)
    : remembered_(frames != nullptr ? options.remembered : nullptr), base_(options.base), frames_(frames) {
  if (remembered_ == nullptr) return;
  std::string text = plan.destination + "\n";
  for (const LeakSource& source : patterns.sources())
    text += source.text + (source.kind == LeakKind::kPath ? " path\n" : " word\n");
  remembered_->depend_on("leaks", text);
}

const RememberedFile* RememberPack::unchanged(const PlannedMember& member) const {
  const RememberedFile* const known = base_ != nullptr ? known_as_planned(remembered_, member) : nullptr;
  if (known == nullptr) return nullptr;
  std::uint64_t size = 0;
  for (const bundle::KnownChunk& chunk : known->chunks) {
    if (!base_->names(chunk.digest, static_cast<std::size_t>(chunk.size))) return nullptr;
    size += chunk.size;
  }
  return size == member.entry.size ? known : nullptr;
}

bool RememberPack::add_unchanged(std::size_t index, const PlannedMember& member) {
  const RememberedFile* const known = unchanged(member);
  if (known == nullptr) return false;
  bundle::Entry entry = member.entry;
  entry.digest = known->packed;
  frames_->add_known(std::move(entry), known->chunks);
  packed(index, member, known->identity);
  return true;
}

void RememberPack::packed(std::size_t index, const PlannedMember& member, const std::optional<FileIdentity>& identity) {
  if (remembered_ != nullptr && identity && is_streamed(member)) packed_.push_back({index, *identity});
}

void RememberPack::note(const std::vector<PlannedMember>& members) const {
  if (remembered_ == nullptr) return;
  std::span<const bundle::Digest> frames = frames_->frame_digests();
  auto next = packed_.begin();
  std::size_t count = 0;
  frames_->entries().for_each([&](const bundle::Entry& entry) {
    const std::size_t i = count++;
    const auto own = frames.first(entry.chunks.size());
    frames = frames.subspan(own.size());
    if (next == packed_.end() || next->index + 1 != i) return;  // the first entry is bundle.json
    const PlannedMember& member = members[next->index];
    RememberedFile file{.identity = next->identity,
                        .elf = is_elf(member),
                        .edit = name_of(member.special().edit),
                        .packed = entry.digest};
    if (!member.special().edit)
      file.original = entry.digest;
    else if (entry.elf)
      file.original = entry.elf->original_digest;
    for (std::size_t k = 0; k < own.size(); ++k) {
      const bundle::Chunk& chunk = entry.chunks[k];
      file.chunks.push_back({.size = chunk.size, .digest = chunk.digest, .zeros = chunk.zeros, .frame = own[k]});
    }
    remembered_->note(member.source, file);
    ++next;
  });
}

}  // namespace holdall::packer
