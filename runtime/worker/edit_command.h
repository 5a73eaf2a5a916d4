// `run`: pictures without a server.
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
  std::optional<std::filesystem::path> mask;
  std::string anchor;  // empty: none
  std::vector<std::string> prompts;
  std::optional<std::string> negative_prompt;
  std::uint64_t seed = 0;
  int n = 1;  // pictures of each prompt
  std::optional<int> steps;
  std::optional<double> true_cfg_scale, guidance_scale, strength, vae_area, condition_area;
  std::string size = "auto";
  std::vector<std::string> loras;  // FILE or FILE:SCALE
  std::string device = "auto", dtype;
  std::filesystem::path dump, output;
  bool quiet = false, json = false;
};

// Writes each picture and prints its path, or with `json` an object about it, a line each. More than one are named
// after the output and a number from 1: out.png gives out-1.png, out-2.png, … Throws runtime::Error; exits with 130
// when interrupted. Leaves no part of a file behind; the pictures of prompts that are done stay.
void run_edit(const EditArguments& arguments);

}  // namespace holdall::runtime::worker
