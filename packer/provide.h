// Runs a manifest's `provide` commands for inputs that are not there yet.
#pragma once

#include <functional>
#include <string>

#include "packer/interrupt.h"
#include "packer/manifest.h"

namespace holdall::packer {

enum class Providing { kRun, kRefuse };

// For each missing path, in order: says so through `say`, runs the command in the manifest's folder with its output on
// stderr, and checks that the path is there. Throws Error{kCannotPack} with the command to run if it fails or, with
// kRefuse, for the first missing path; Error{kInterrupted}.
void provide_inputs(const Manifest& manifest, Providing providing, const Interrupt& interrupt,
                    const std::function<void(const std::string&)>& say);

}  // namespace holdall::packer
