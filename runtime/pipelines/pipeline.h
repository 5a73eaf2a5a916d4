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

// Where a picture lies on a larger canvas.
enum class Anchor { kTopLeft, kTop, kTopRight, kLeft, kCenter, kRight, kBottomLeft, kBottom, kBottomRight };

inline constexpr double kDefaultStrength = 0.6;  // the reference's

// Which pipeline of the family runs is chosen by the checkpoint's class and by what is given here: qwen_image.h. What
// has no meaning beside the rest is refused, not ignored.
struct Request {
  // Edits: references, in order. Models from text to image: at most one, to start from.
  std::vector<image::Picture> images;
  std::optional<image::Picture> mask;  // of the first picture, of its size: white is repainted, black is kept
  // Outpaint: the first picture lies here on a canvas of `size`, and the rest is painted. Needs `size`, makes the mask.
  std::optional<Anchor> anchor;
  std::optional<double> strength;  // in (0, 1]: how much of the way from noise is taken; with a mask or text to image
  std::string prompt;
  std::optional<std::string> negative_prompt;
  std::uint64_t seed = 0;
  int n = 1;                                       // pictures, of the seeds seed … seed + n − 1
  std::optional<int> steps;                        // default: the model manifest's, else 40
  std::optional<double> true_cfg_scale;            // default: the model manifest's, else 4.0
  std::optional<double> guidance_scale;            // of guidance-distilled models, which no release is: refused
  std::optional<image::Size> size;                 // output, pixels; default: vae_area in a picture's ratio
  std::optional<double> vae_area, condition_area;  // pixels; default: the model manifest's, else 1024² and 384²
  std::filesystem::path dump;  // safetensors of the intermediate tensors (10-command-line's names); empty: none
  // After each step, from the thread that runs; `total` is of all n pictures. Return false to cancel: run() throws
  // Error{kCancelled}.
  std::function<bool(int step, int total)> progress;
  // How often each picture is shown while it is made, evenly spread over the steps, as the model foresees it; less
  // often where there are too few steps. The result is the same as without.
  int previews = 0;
  std::function<void(const image::Picture& picture)> preview;
};

struct Timings {  // seconds
  double text = 0, denoise = 0, vae = 0;
};

struct Tokens {  // what the models read
  std::int64_t text = 0,
               pictures = 0;  // of the prompts, without the system prompt; 16 × 16 pixels of a picture are one
};

struct Result {
  std::vector<image::Picture> pictures;  // of the seeds seed, seed + 1, …
  Timings timings;                       // of all
  Tokens tokens;                         // of all: they are read once
  int steps = 0;                         // of each
  std::uint64_t seed = 0;
  std::string pipeline;  // diffusers' name of what ran, e.g. "QwenImageInpaintPipeline"
};

struct LoraFile {
  std::filesystem::path file;
  double scale = 1;
};

struct LoadOptions {
  std::string device = "cpu";        // "auto", "cpu", "cuda", "cuda:N"
  std::string dtype;                 // "float32", "bfloat16", "float16"; empty: bfloat16 on CUDA, float32 on CPU
  std::vector<LoraFile> loras = {};  // merged into the transformer's weights while they load, in this order
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;
  // Throws runtime::Error. Not thread-safe.
  virtual Result run(const Request& request) = 0;
  // The checkpoint's, e.g. "QwenImageEditPlusPipeline"
  virtual const std::string& class_name() const = 0;
  // Whether it needs a picture.
  virtual bool edits() const = 0;
};

// model_index.json's _class_name. Throws Error{kNotFound, kBadModel} where this build does not run it, naming what it
// runs.
std::string class_of(const std::filesystem::path& model);

// Dispatches on class_of() and refuses what is unknown by name. `manifest`: the model's, for the
// defaults of its edits. Throws Error{kNotFound, kBadModel}.
std::unique_ptr<Pipeline> load(const std::filesystem::path& model, const ModelManifest& manifest,
                               const LoadOptions& options);

}  // namespace holdall::runtime::pipelines
