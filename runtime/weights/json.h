// JSON from files that somebody else wrote: strict, of bounded depth, and a key that comes twice is an error, not a
// choice.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace holdall::runtime::weights {

// The whole of a small text file. Throws runtime::Error{kNotFound, kStorage}; kBadModel past 64 MiB.
std::string read_text(const std::filesystem::path& file);

// `subject` names the text in the message. Throws runtime::Error{kBadModel} unless it is one JSON object.
nlohmann::json parse_object(std::string_view text, const std::string& subject);

}  // namespace holdall::runtime::weights
