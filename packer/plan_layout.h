// What every plan goes through at its end, whatever its inputs: folders, order, totals.
#pragma once

#include <string>

#include "packer/faults.h"
#include "packer/inputs/collection.h"
#include "packer/plan.h"

namespace holdall::packer {

// A regular member that is the file `source`, as it is now. Throws as InputFile does.
struct FileToAdd {
  std::string path, source, layer;
};
PlannedMember& add_file(PackPlan& plan, const FileToAdd& file);

// Adds the folders that members lie in and that are no members yet.
void add_parent_folders(PackPlan& plan);

// bin/, lib/, the rest, model/: what starts first comes first, and what changes least often stays together. The SBOM
// comes last, as it tells digests of what is before it.
void sort_for_start_up(PackPlan& plan);

// Two inputs for one place, or a file where another input needs a folder; folders that several share become one. The
// members are sorted.
void refuse_collisions(PackPlan& plan, Faults& faults);

// Puts everything into `folder` of the archive, last of all: for `--arcroot`. What relocation knows of the tree begins
// there.
void put_below(PackPlan& plan, const std::string& folder);

// Fills in files, bytes, largest_file, layers and requires_host.disk_bytes.
void count_members(PackPlan& plan);

// What must not show in the archive: of the machine, its home folder and its name; the folders of what was collected.
void add_build_machine(PackPlan& plan, const BuildMachine& machine);
void add_build_prefixes(PackPlan& plan, const Collection& collection);

// The places of an input that must not show in the archive: the checkout around `folder`, or `folder` itself where it
// is in none; as it is spelled and with its links resolved.
void add_source_folder(PackPlan& plan, const std::string& folder);

// An edit is recorded so that it can be undone. Where the old bytes tell where the input was built, there is no
// vendor's file to go back to, and the record would tell it, too: the edit stays, the record goes.
void forget_telling_edits(PackPlan& plan);

}  // namespace holdall::packer
