// Qwen2.5-VL's language model, as an encoder: no cache, no head.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/embedding.h>

#include <array>
#include <vector>

#include "runtime/models/qwen2_5_vl_config.h"
#include "runtime/models/qwen2_5_vl_layers.h"

namespace holdall::runtime::models::qwen25vl {

class LanguageModel {
 public:
  LanguageModel(const TextConfig& config, const Source& source);

  at::Device device() const { return embedding_.device(); }

  // ids (tokens) int64 → (1, tokens, hidden).
  at::Tensor embed(const at::Tensor& ids) const { return at::embedding(embedding_, ids).unsqueeze(0); }

  // embeddings (1, tokens, hidden), positions (3, tokens) int64: temporal, height, width → (1, tokens, hidden), normed.
  at::Tensor operator()(const at::Tensor& embeddings, const at::Tensor& positions) const;

 private:
  struct Layer {
    RmsNorm input_norm, post_norm;
    Linear q, k, v, o;
    GatedMlp mlp;
    Layer(const TextConfig& config, const Source& source);
  };
  at::Tensor attend(const Layer& layer, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) const;

  TextConfig config_;
  at::Tensor embedding_, frequencies_;
  std::vector<Layer> layers_;
  RmsNorm norm_;
};

// 3-D M-RoPE positions of `ids`, in which each run of `image_token` is a picture of `grids`, in order: text counts on
// from the largest position before it. (3, tokens) int64. The runs' lengths have been checked.
at::Tensor mrope_positions(const std::vector<std::int64_t>& ids, std::int64_t image_token,
                           const std::vector<std::array<std::int64_t, 3>>& grids, std::int64_t merge);

}  // namespace holdall::runtime::models::qwen25vl
