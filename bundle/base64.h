// Base64 of RFC 4648 with its padding, by OpenSSL.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::bundle {

std::string encode_base64(std::span<const std::byte> bytes);

// nullopt unless `text` is what encode_base64() gives: no blanks, no missing padding, no stray bits in the last digit.
std::optional<std::vector<std::byte>> decode_base64(std::string_view text);

}  // namespace holdall::bundle
