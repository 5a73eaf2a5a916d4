// What a checkpoint is and what running it takes, from its configuration and its weights' headers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "runtime/image/resize.h"

namespace holdall::runtime::pipelines {

struct Component {
  std::string name, class_name;                   // e.g. "transformer", "QwenImageTransformer2DModel"
  std::map<std::string, std::uint64_t> elements;  // of what the files hold, by dtype as safetensors spells it
  std::uint64_t parameters = 0;                   // the sum of these
  std::uint64_t kept = 0;                         // of them, what the runtime computes with
};

// One picture of this size, with one reference of the model's own area where the model edits.
struct Cost {
  image::Size size;
  std::int64_t text_tokens, image_tokens;
  double operations;  // floating-point, of one pass of the transformer; a step has two with a negative prompt
  // Bytes of the weights and of what is computed, the latter estimated: in float32, in bfloat16 or float16.
  double memory_float32, memory_half;
};

struct Facts {
  std::string name, class_name;
  std::string release;  // whose architecture it has, e.g. "Qwen-Image-Edit-2509"
  bool edits = false;
  std::vector<Component> components;
  std::vector<Cost> costs;  // of the sizes asked for, in whole tokens

  std::uint64_t kept() const;  // parameters of all components
};

// Reads no weights, however large they are, but checks the whole checkpoint as loading it does: every tensor's name,
// shape and dtype. `sizes`: of results; empty: the model's own, half and twice of it. Throws what load() throws.
Facts inspect(const std::filesystem::path& model, std::vector<image::Size> sizes);

// What one device has and does.
struct Capacity {
  std::string device, dtype;  // as LoadOptions have them, neither of them empty
  double free_memory = 0;     // bytes; a CPU's: what can be had without swapping, within the control group's limit
  double rate = 0;            // floating-point operations a second of a large matrix product in `dtype`: measured here

  bool has_room_for(const Cost& cost) const {
    return (dtype == "float32" ? cost.memory_float32 : cost.memory_half) <= free_memory;
  }
};

// Throws Error{kBadRequest} as load() does.
Capacity capacity_of(const std::string& device, const std::string& dtype);

}  // namespace holdall::runtime::pipelines
