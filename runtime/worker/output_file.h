// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace holdall::runtime::worker {

// Throws runtime::Error{kNotFound, kStorage}.
std::vector<std::byte> read_file(const std::filesystem::path& file);

// Writes through a temporary beside `file`, replacing it. Throws runtime::Error{kNotFound, kStorage}, leaving nothing
// behind.
void write_file(const std::filesystem::path& file, std::span<const std::byte> bytes);

}  // namespace holdall::runtime::worker
