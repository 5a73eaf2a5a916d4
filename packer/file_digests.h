// The sha256 of files that the plan needs to know before anything is packed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bundle/digest.h"

namespace holdall::packer {

// One digest for each path, in their order; the files are read by all processors at once. `check` is called in the
// caller's thread while that goes on and may throw to cancel. Throws as InputFile does.
std::vector<bundle::Digest> file_digests(const std::vector<std::string>& paths, const std::function<void()>& check);

}  // namespace holdall::packer
