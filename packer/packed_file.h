// The bytes of a member as they go into the archive.
#pragma once

#include <memory>

#include "packer/input_file.h"
#include "packer/plan.h"

namespace holdall::packer {

// Of a regular member: its input, edited and spliced. `member` must outlive it. Throws as InputFile does, and
// changed_while_packed() for an input that is not as it was found.
std::shared_ptr<const ReadableFile> packed_file(const PlannedMember& member);

}  // namespace holdall::packer
