#include "runtime/models/qwen2_5_vl_text.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <algorithm>
#include <cmath>
#include <optional>

namespace holdall::runtime::models::qwen25vl {

LanguageModel::Layer::Layer(const TextConfig& config, const Source& source)
    : input_norm(source.in("input_layernorm"), config.hidden, config.norm_epsilon),
      post_norm(source.in("post_attention_layernorm"), config.hidden, config.norm_epsilon),
      q(source.in("self_attn.q_proj"), config.hidden, config.hidden, Bias::kYes),
      k(source.in("self_attn.k_proj"), config.hidden, config.key_value_heads * config.head_dim(), Bias::kYes),
      v(source.in("self_attn.v_proj"), config.hidden, config.key_value_heads * config.head_dim(), Bias::kYes),
      o(source.in("self_attn.o_proj"), config.hidden, config.hidden, Bias::kNone),
      mlp(source.in("mlp"), config.hidden, config.intermediate, Bias::kNone) {}

LanguageModel::LanguageModel(const TextConfig& config, const Source& source)
    : config_(config),
      embedding_(source.take("embed_tokens.weight", {config.vocabulary, config.hidden})),
      frequencies_(inverse_frequencies(config.rope_theta, config.head_dim(), source.device)),
      norm_(source.in("norm"), config.hidden, config.norm_epsilon) {
  for (std::int64_t i = 0; i < config.layers; ++i)
    layers_.emplace_back(config, source.in("layers." + std::to_string(i)));
}

at::Tensor LanguageModel::attend(const Layer& layer, const at::Tensor& x, const at::Tensor& cos,
                                 const at::Tensor& sin) const {
  const std::int64_t tokens = x.size(1);
  const auto heads = [&](const at::Tensor& t) { return t.view({1, tokens, -1, config_.head_dim()}).transpose(1, 2); };
  const at::Tensor q = rotate(heads(layer.q(x)), cos, sin), k = rotate(heads(layer.k(x)), cos, sin);
  const double scale = 1.0 / std::sqrt(static_cast<double>(config_.head_dim()));
  const at::Tensor out =
      at::scaled_dot_product_attention(q, k, heads(layer.v(x)), {}, 0.0, /*is_causal=*/tokens > 1, scale,
                                       /*enable_gqa=*/config_.heads != config_.key_value_heads);
  return layer.o(out.transpose(1, 2).reshape({1, tokens, -1}));
}

at::Tensor LanguageModel::operator()(const at::Tensor& embeddings, const at::Tensor& positions) const {
  // (3, tokens, head_dim / 2); then of each section the angles of its own axis, and the same for the other half.
  const at::Tensor angles = positions.unsqueeze(-1).to(at::kFloat) * frequencies_;
  const auto table = [&](const at::Tensor& t) {
    std::vector<at::Tensor> parts;
    std::int64_t start = 0;
    for (std::size_t i = 0; i < config_.mrope_section.size(); ++i) {
      const std::int64_t size = config_.mrope_section[i];
      parts.push_back(t.select(0, static_cast<std::int64_t>(i % 3)).narrow(-1, start, size));
      start += size;
    }
    const at::Tensor half = at::cat(parts, -1);
    return at::cat({half, half}, -1).to(embeddings.scalar_type()).unsqueeze(0).unsqueeze(0);
  };
  const at::Tensor cos = table(angles.cos()), sin = table(angles.sin());
  at::Tensor x = embeddings;
  for (const Layer& layer : layers_) {
    x = x + attend(layer, layer.input_norm(x), cos, sin);
    x = x + layer.mlp(layer.post_norm(x));
  }
  return norm_(x);
}

at::Tensor mrope_positions(const std::vector<std::int64_t>& ids, std::int64_t image_token,
                           const std::vector<std::array<std::int64_t, 3>>& grids, std::int64_t merge) {
  std::array<std::vector<std::int64_t>, 3> positions;
  std::int64_t next = 0;
  auto grid = grids.begin();
  for (std::size_t i = 0; i < ids.size();) {
    if (ids[i] != image_token) {
      for (auto& axis : positions) axis.push_back(next);
      ++next;
      ++i;
      continue;
    }
    const auto [frames, rows, columns] = std::array{(*grid)[0], (*grid)[1] / merge, (*grid)[2] / merge};
    ++grid;
    for (std::int64_t at = 0; at < frames * rows * columns; ++at) {
      positions[0].push_back(next + at / (rows * columns));
      positions[1].push_back(next + at / columns % rows);
      positions[2].push_back(next + at % columns);
    }
    next += std::max(rows, columns);
    i += static_cast<std::size_t>(frames * rows * columns);
  }
  return at::stack(
      {at::tensor(positions[0], at::kLong), at::tensor(positions[1], at::kLong), at::tensor(positions[2], at::kLong)});
}

}  // namespace holdall::runtime::models::qwen25vl
