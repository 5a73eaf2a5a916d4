// The digest that pins a model: sha256 over the lines "<64 hex digits>  <path>\n" of its files, sorted by path (bytes).
// `cd MODEL && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum` gives the same.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bundle/digest.h"

namespace holdall::bundle {

// `files`: path relative to the model's folder, and the sha256 of the file; in any order.
// Throws Error{kCannotPack} if a path occurs twice or has a newline, a carriage return or a backslash (sha256sum
// escapes these).
Digest model_digest(std::vector<std::pair<std::string, Digest>> files);

}  // namespace holdall::bundle
