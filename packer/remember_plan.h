// How planning uses what is remembered.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "packer/path_search.h"
#include "packer/plan.h"
#include "packer/remembered.h"

namespace holdall::packer {

// A name for the change of a file: the same for the same change of the same bytes, empty for none.
std::string name_of(const Box<ElfEdit>& edit);

// Whether the member's bytes come from a file that may be remembered. Others' are made while planning, or are few.
bool is_streamed(const PlannedMember& member);

// What is known of the member's file, if it is as it was and the same is done to it as then; else, and without notes,
// nullptr.
const RememberedFile* known_as_planned(const Remembered* remembered, const PlannedMember& member);

// The notes, if a file that they know need not be searched for these prefixes again: it had no leak when it was packed
// as it was, and the audit looks for all of them. Else, and without notes, nullptr. `what` names the prefixes' use.
const Remembered* known_without(const std::vector<PrefixSpelling>& prefixes, const std::string& what,
                                Remembered* remembered);

}  // namespace holdall::packer
