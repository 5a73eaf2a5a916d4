// CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/): the newest version that scanners at large read.
#pragma once

#include <string>
#include <vector>

#include "packer/sbom/component.h"

namespace holdall::packer {

struct Sbom {
  SbomComponent subject;                  // the bundle
  std::vector<SbomComponent> components;  // sorted by ref, each ref once
  std::string tool_version;               // of holdall-pack
  bool complete = false;                  // every file of the subject belongs to a component
};

// The same bill gives the same bytes: no time is in it, and the serial number is made of the rest. References to what
// is not in the document are left out; what nothing refers to, the subject does.
std::string to_cyclonedx(const Sbom& sbom);

// Of such a document in which something was changed: gives it the serial number of what it says now.
void renumber(std::string& document);

}  // namespace holdall::packer
