// The bytes of a member as they go into the archive.
#pragma once

#include <memory>

#include "packer/input_file.h"
#include "packer/plan.h"

namespace holdall::packer {

struct PackedFile {
  std::shared_ptr<const ReadableFile> bytes;
  std::shared_ptr<const InputFile> input;  // that they are made of; nullptr: there is none
};

// Of a regular member: its input, edited and spliced. `member` must outlive it. Throws as InputFile does, and
// changed_while_packed() for an input that is not as it was found.
PackedFile packed_file(const PlannedMember& member);

// Of its source: as the plan has it, or found by looking. False for what cannot be read.
bool is_elf(const PlannedMember& member) noexcept;

}  // namespace holdall::packer
