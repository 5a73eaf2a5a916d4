// The licences of the system's libraries in an environment: a base interpreter brings them along.
#pragma once

#include <string>

#include "packer/plan.h"

namespace holdall::packer {

// Names the Debian package of each library of the system among the members, and adds the packages' licences as members.
// Call it before folders and totals. `system_root` as in BuildMachine.
void add_system_licences(PackPlan& plan, const std::string& system_root);

}  // namespace holdall::packer
