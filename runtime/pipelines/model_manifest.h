// holdall.json: what a checkpoint does not say about itself. Optional; every field has a default.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/image/resize.h"

namespace holdall::runtime::pipelines {

struct GoldenEdit {             // an edit whose outcome is known: a model that answers otherwise must not serve
  std::filesystem::path image;  // absolute or below the folder that its manifest speaks of; so is `output`. Empty: none
  std::string prompt;
  std::optional<std::string> negative_prompt;
  std::uint64_t seed = 0;
  std::optional<int> steps;
  std::filesystem::path output;
  double tolerance = 0;  // mean absolute difference of the 8-bit values that still counts as equal
};

struct ModelManifest {
  std::string name;                       // what clients call the model; the folder's name unless the file says it
  double vae_area = 1024.0 * 1024.0;      // pixels of a reference for the autoencoder, and of the default output
  double condition_area = 384.0 * 384.0;  // pixels of a reference for the vision encoder
  int default_steps = 40;
  double default_true_cfg_scale = 4.0;
  std::uint64_t max_pixels = 64u << 20;  // of an input picture, before anything of its size is allocated
  std::vector<image::Size> warm_up;      // output sizes to run once before the service is ready
  std::vector<GoldenEdit> golden;
};

// Reads MODEL/holdall.json; the defaults if there is none. `golden`, if not empty, replaces the file's own golden
// edits: JSON as under "golden" in the file, but with its paths below the working directory. Throws
// runtime::Error{kBadModel} naming file and field.
ModelManifest read_model_manifest(const std::filesystem::path& model, const std::string& golden = {});

}  // namespace holdall::runtime::pipelines
