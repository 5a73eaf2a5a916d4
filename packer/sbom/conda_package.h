// A conda package as a component.
#pragma once

#include <set>
#include <string>

#include "packer/inputs/conda_record.h"
#include "packer/sbom/component.h"

namespace holdall::packer {

// Where it came from is told by channel and platform only: an address may hold a token.
SbomComponent component_of(const CondaRecord& record);

// The names of a record's `depends`.
std::set<std::string> needed_packages(const CondaRecord& record);

}  // namespace holdall::packer
