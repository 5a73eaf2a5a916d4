// sha256, and random names.
#pragma once

#include <string>
#include <string_view>

namespace holdall::runtime::service {

std::string sha256_hex(std::string_view bytes);

// `bytes` random bytes in hex, from the kernel.
std::string random_hex(int bytes);

}  // namespace holdall::runtime::service
