#include "runtime/models/qwen2_5_vl_vision.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>
#include <algorithm>
#include <cmath>

namespace holdall::runtime::models::qwen25vl {
namespace {

constexpr double kNormEpsilon = 1e-6;  // not in the config: fixed in the architecture

// Row and column of every patch, in the order of the patches: squares of merge × merge one after another. (patches, 2)
at::Tensor patch_positions(const std::vector<Grid>& grids, std::int64_t merge) {
  std::vector<std::int64_t> positions;
  for (const auto& [frames, height, width] : grids) {
    for (std::int64_t t = 0; t < frames; ++t) {
      for (std::int64_t square = 0; square < height / merge * (width / merge); ++square) {
        const std::int64_t top = square / (width / merge) * merge, left = square % (width / merge) * merge;
        for (std::int64_t i = 0; i < merge * merge; ++i) {
          positions.push_back(top + i / merge);
          positions.push_back(left + i % merge);
        }
      }
    }
  }
  return at::tensor(positions, at::kLong).view({-1, 2});
}

}  // namespace

WindowOrder window_order(const std::vector<Grid>& grids, const VisionConfig& config) {
  const std::int64_t side = config.window / config.merge / config.patch;  // tokens
  WindowOrder order;
  std::int64_t first = 0;
  for (const auto& [frames, patch_rows, patch_columns] : grids) {
    const std::int64_t rows = patch_rows / config.merge, columns = patch_columns / config.merge;
    for (std::int64_t t = 0; t < frames; ++t, first += rows * columns) {
      for (std::int64_t top = 0; top < rows; top += side) {
        for (std::int64_t left = 0; left < columns; left += side) {
          const std::int64_t bottom = std::min(top + side, rows), right = std::min(left + side, columns);
          for (std::int64_t y = top; y < bottom; ++y) {
            for (std::int64_t x = left; x < right; ++x) order.tokens.push_back(first + y * columns + x);
          }
          order.lengths.push_back((bottom - top) * (right - left) * config.merge * config.merge);
        }
      }
    }
  }
  return order;
}

VisionTower::Block::Block(const VisionConfig& config, const Source& source)
    : norm1(source.in("norm1"), config.hidden, kNormEpsilon),
      norm2(source.in("norm2"), config.hidden, kNormEpsilon),
      qkv(source.in("attn.qkv"), config.hidden, config.hidden * 3, Bias::kYes),
      proj(source.in("attn.proj"), config.hidden, config.hidden, Bias::kYes),
      mlp(source.in("mlp"), config.hidden, config.intermediate, Bias::kYes) {}

VisionTower::VisionTower(const VisionConfig& config, const Source& source)
    : config_(config),
      patch_weight_(source.take("patch_embed.proj.weight",
                                {config.hidden, config.channels, config.temporal_patch, config.patch, config.patch})),
      frequencies_(inverse_frequencies(config.rope_theta, config.head_dim() / 2, source.device)),
      merger_norm_(source.in("merger.ln_q"), config.hidden, kNormEpsilon),
      merger_in_(source.in("merger.mlp.0"), config.hidden * config.merge * config.merge,
                 config.hidden * config.merge * config.merge, Bias::kYes),
      merger_out_(source.in("merger.mlp.2"), config.hidden * config.merge * config.merge, config.out_hidden,
                  Bias::kYes) {
  for (std::int64_t i = 0; i < config.depth; ++i)
    blocks_.emplace_back(config, source.in("blocks." + std::to_string(i)));
}

// Attention of x (patches, hidden) within consecutive runs of `lengths` patches.
at::Tensor VisionTower::attend(const Block& block, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                               const std::vector<std::int64_t>& lengths) const {
  const std::int64_t patches = x.size(0);
  const auto qkv = block.qkv(x).reshape({patches, 3, config_.heads, -1}).permute({1, 0, 2, 3}).unbind(0);
  const auto heads_first = [](const at::Tensor& t) { return t.transpose(0, 1).unsqueeze(0); };
  const at::Tensor q = heads_first(rotate(qkv[0].to(at::kFloat), cos, sin).to(x.scalar_type()));
  const at::Tensor k = heads_first(rotate(qkv[1].to(at::kFloat), cos, sin).to(x.scalar_type()));
  const at::Tensor v = heads_first(qkv[2]);
  const double scale = 1.0 / std::sqrt(static_cast<double>(config_.head_dim()));
  std::vector<at::Tensor> runs;
  std::int64_t start = 0;
  for (const std::int64_t length : lengths) {
    const auto run = [&](const at::Tensor& t) { return t.narrow(2, start, length); };
    runs.push_back(
        at::scaled_dot_product_attention(run(q), run(k), run(v), {}, 0.0, /*is_causal=*/false, scale).transpose(1, 2));
    start += length;
  }
  return block.proj(at::cat(runs, 1).reshape({patches, -1}));
}

at::Tensor VisionTower::operator()(const at::Tensor& pixel_values, const std::vector<Grid>& grids) const {
  const at::Device device = patch_weight_.device();
  const WindowOrder windows = window_order(grids, config_);
  std::vector<std::int64_t> pictures;
  for (const auto& [frames, height, width] : grids)
    pictures.insert(pictures.end(), std::size_t(frames), height * width);

  const at::Tensor order = at::tensor(windows.tokens, at::kLong).to(device);
  const std::int64_t unit = config_.merge * config_.merge;
  const auto by_window = [&](const at::Tensor& t) {
    return t.reshape({t.size(0) / unit, unit, -1}).index_select(0, order).reshape({t.size(0), -1});
  };

  const std::array<std::int64_t, 3> kernel{config_.temporal_patch, config_.patch, config_.patch};
  at::Tensor x = pixel_values.to(device, patch_weight_.scalar_type())
                     .view({-1, config_.channels, config_.temporal_patch, config_.patch, config_.patch});
  x = by_window(at::conv3d(x, patch_weight_, {}, kernel).view({-1, config_.hidden}));

  // (patches, 2, head_dim / 4) angles: rows' then columns', and the same for the other half.
  const at::Tensor angles =
      patch_positions(grids, config_.merge).to(device).unsqueeze(-1).to(at::kFloat) * frequencies_;
  const auto table = [&](const at::Tensor& t) {
    const at::Tensor half = t.flatten(1);
    return by_window(at::cat({half, half}, -1)).unsqueeze(-2);
  };
  const at::Tensor cos = table(angles.cos()), sin = table(angles.sin());

  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const auto& full = config_.full_attention_blocks;
    const bool across = std::find(full.begin(), full.end(), static_cast<std::int64_t>(i)) != full.end();
    x = x + attend(block, block.norm1(x), cos, sin, across ? pictures : windows.lengths);
    x = x + block.mlp(block.norm2(x));
  }
  x = merger_out_(at::gelu(merger_in_(merger_norm_(x).view({-1, config_.hidden * unit}))));
  return x.index_select(0, at::argsort(order));
}

}  // namespace holdall::runtime::models::qwen25vl
