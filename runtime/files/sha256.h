// SHA-256.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace holdall::runtime::files {

// In hex. Throws runtime::Error{kInternal} if libcrypto refuses.
std::string sha256_hex(std::string_view bytes);
// Of a file's contents, read piece by piece. Throws also {kNotFound, kStorage}.
std::string file_sha256_hex(const std::filesystem::path& file);

}  // namespace holdall::runtime::files
