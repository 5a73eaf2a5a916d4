// What every plan goes through at its end, whatever its inputs: folders, order, totals.
#pragma once

#include <string>

#include "packer/plan.h"

namespace holdall::packer {

// Adds the folders that members lie in and that are no members yet.
void add_parent_folders(PackPlan& plan);

// bin/, lib/, the rest, model/: what starts first comes first, and what changes least often stays together.
void sort_for_start_up(PackPlan& plan);

// Fills in files, bytes, largest_file, layers and requires_host.disk_bytes.
void count_members(PackPlan& plan);

// The places of an input that must not show in the archive: the checkout around `folder`, or `folder` itself where it
// is in none; as it is spelled and with its links resolved.
void add_source_folder(PackPlan& plan, const std::string& folder);

// An edit is recorded so that it can be undone. Where the old bytes tell where the input was built, there is no
// vendor's file to go back to, and the record would tell it, too: the edit stays, the record goes.
void forget_telling_edits(PackPlan& plan);

}  // namespace holdall::packer
