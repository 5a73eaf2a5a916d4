// Pictures with instructions that the model is known to follow, for whoever has none at hand.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace holdall::runtime::service {

// The answer of GET /v1/samples. `samples`: the worker's list of {"prompt", "image": the file's path}. A picture that
// cannot be read, or is too large to be shown to everybody who opens the page, is left out. Throws what a list of
// another shape does.
std::string read_samples(const nlohmann::json& samples);

}  // namespace holdall::runtime::service
