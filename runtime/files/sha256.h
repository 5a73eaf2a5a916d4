// SHA-256.
#pragma once

#include <string>
#include <string_view>

namespace holdall::runtime::files {

// In hex. Throws runtime::Error{kInternal} if libcrypto refuses.
std::string sha256_hex(std::string_view bytes);

}  // namespace holdall::runtime::files
