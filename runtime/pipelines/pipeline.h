// An image pipeline, whatever the checkpoint: load once, run many times.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/image/picture.h"
#include "runtime/image/resize.h"
#include "runtime/pipelines/model_manifest.h"

namespace holdall::runtime::pipelines {

struct Request {
  std::vector<image::Picture> images;  // references, in order
  std::string prompt;
  std::optional<std::string> negative_prompt;
  std::uint64_t seed = 0;
  std::optional<int> steps;                        // default: the model manifest's, else 40
  std::optional<double> true_cfg_scale;            // default: the model manifest's, else 4.0
  std::optional<image::Size> size;                 // output, pixels; default: from the last image
  std::optional<double> vae_area, condition_area;  // pixels; default: the model manifest's, else 1024² and 384²
  std::filesystem::path dump;  // safetensors of the intermediate tensors (10-command-line's names); empty: none
  // After each step, from the thread that runs. Return false to cancel: run() throws Error{kCancelled}.
  std::function<bool(int step, int total)> progress;
};

struct Timings {  // seconds
  double text = 0, denoise = 0, vae = 0;
};

struct Result {
  image::Picture picture;
  Timings timings;
  int steps = 0;
  std::uint64_t seed = 0;
};

struct LoadOptions {
  std::string device = "cpu";  // "auto", "cpu", "cuda", "cuda:N"
  std::string dtype;           // "float32", "bfloat16", "float16"; empty: bfloat16 on CUDA, float32 on CPU
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;
  // Throws runtime::Error. Not thread-safe.
  virtual Result run(const Request& request) = 0;
  // e.g. "QwenImageEditPlusPipeline"
  virtual const std::string& class_name() const = 0;
};

// Dispatches on model_index.json's _class_name and refuses what is unknown by name. `manifest`: the model's, for the
// defaults of its edits. Throws Error{kNotFound, kBadModel}.
std::unique_ptr<Pipeline> load(const std::filesystem::path& model, const ModelManifest& manifest,
                               const LoadOptions& options);

}  // namespace holdall::runtime::pipelines
