// The licences of the packages that a bundle has files of.
#pragma once

#include <string>

#include "packer/library_origin.h"
#include "packer/plan.h"

namespace holdall::packer {

// Names the Debian package of each library of the system among the members that have none yet, and of a base
// interpreter, which brings such libraries along; and adds the licences of all packages that `origins` has found so far
// as members. Call it before folders and totals. `system_root` as in BuildMachine.
void add_licences(PackPlan& plan, LibraryOrigins& origins, const std::string& system_root);

}  // namespace holdall::packer
