// Qwen2.5-VL's vision tower: patches to language-model tokens, by attention inside windows and, in a few blocks, across
// each picture.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "runtime/models/qwen2_5_vl_config.h"
#include "runtime/models/qwen2_5_vl_layers.h"

namespace holdall::runtime::models::qwen25vl {

using Grid = std::array<std::int64_t, 3>;  // t, h, w in patches

// The order in which tokens are visited so that each window's lie together, and the windows' lengths in patches. Only
// windows that hold something are listed.
struct WindowOrder {
  std::vector<std::int64_t> tokens;
  std::vector<std::int64_t> lengths;
};
WindowOrder window_order(const std::vector<Grid>& grids, const VisionConfig& config);

class VisionTower {
 public:
  VisionTower(const VisionConfig& config, const Source& source);

  // pixel_values (patches, patch_values) → (patches / merge², out_hidden) in the model's dtype, pictures one after
  // another in the order of `grids`.
  at::Tensor operator()(const at::Tensor& pixel_values, const std::vector<Grid>& grids) const;

 private:
  struct Block {
    RmsNorm norm1, norm2;
    Linear qkv, proj;
    GatedMlp mlp;
    Block(const VisionConfig& config, const Source& source);
  };
  at::Tensor attend(const Block& block, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                    const std::vector<std::int64_t>& lengths) const;

  VisionConfig config_;
  at::Tensor patch_weight_, frequencies_;
  std::vector<Block> blocks_;
  RmsNorm merger_norm_;
  Linear merger_in_, merger_out_;
};

}  // namespace holdall::runtime::models::qwen25vl
