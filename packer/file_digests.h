// The sha256 of files that the plan needs to know before anything is packed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bundle/digest.h"
#include "packer/input_file.h"
#include "packer/remembered.h"

namespace holdall::packer {

// Of one. `check` is called for each piece and may throw to cancel. Throws as ReadableFile does.
bundle::Digest digest_of(const ReadableFile& file, const std::function<void()>& check);

// One digest for each path, in their order; what is remembered (or nullptr) is not read. `check` is called from all
// threads. Throws as InputFile does.
std::vector<bundle::Digest> file_digests(const std::vector<std::string>& paths, unsigned threads,
                                         const std::function<void()>& check, const Remembered* remembered = nullptr);

}  // namespace holdall::packer
