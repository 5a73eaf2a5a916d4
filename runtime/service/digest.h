// sha256, and random names.
#pragma once

#include <string>

#include "runtime/files/sha256.h"

namespace holdall::runtime::service {

using files::sha256_hex;

// `bytes` random bytes in hex, from the kernel.
std::string random_hex(int bytes);

}  // namespace holdall::runtime::service
