// Relocation records as JSON: FORMAT.md, "TOC", `relocations`. Included by .cpp files only.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "bundle/json_checks.h"
#include "bundle/relocation.h"

namespace holdall::bundle {

nlohmann::json json_of(const std::vector<Relocation>& records);

// Of a packed file of `file_size` bytes. Throws Error{kBadBundle} with the JSON pointer of what is wrong.
std::vector<Relocation> relocations_of(const JsonView& list, std::uint64_t file_size);

}  // namespace holdall::bundle
