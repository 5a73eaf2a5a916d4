// `run`: one edit without a server.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace holdall::runtime::worker {

struct EditArguments {  // as typed
  std::filesystem::path model;
  std::vector<std::filesystem::path> images;
  std::string prompt;
  std::optional<std::string> negative_prompt;
  std::uint64_t seed = 0;
  std::optional<int> steps;
  std::optional<double> true_cfg_scale, vae_area, condition_area;
  std::string size = "auto";
  std::string device = "auto", dtype;
  std::filesystem::path dump, output;
  bool quiet = false, json = false;
};

// Writes the picture and prints its path, or with `json` an object about it. Throws runtime::Error; exits with 130 when
// interrupted. Leaves no part of a file behind.
void run_edit(const EditArguments& arguments);

}  // namespace holdall::runtime::worker
