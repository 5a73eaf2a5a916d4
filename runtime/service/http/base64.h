// Base64 as RFC 4648 has it: pictures in JSON.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::runtime::service {

void append_base64(std::string& out, std::span<const std::byte> bytes);

// Strict: no spaces, padding as the RFC has it (it may be left out whole). nullopt for anything else.
std::optional<std::vector<std::byte>> decode_base64(std::string_view text);

}  // namespace holdall::runtime::service
