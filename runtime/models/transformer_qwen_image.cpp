// Follows diffusers' transformer_qwenimage.py operation by operation, so that float32 gives the same bits. What depends
// on the prompt alone or on the timestep alone is computed once instead of in every forward pass: the same numbers,
// less work.
#include "runtime/models/transformer_qwen_image.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/polar.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/view_as_complex.h>
#include <ATen/ops/view_as_real.h>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/error.h"
#include "runtime/models/module.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::models {

namespace {

using at::Tensor;
using weights::Config;

constexpr double kNormEps = 1e-6;
constexpr std::int64_t kTimeChannels = 256;
constexpr double kTimeScale = 1000, kTimePeriod = 10000;
constexpr std::int64_t kRopePositions = 4096;
constexpr int kRopeTheta = 10000;

struct Sizes {
  std::int64_t patch, in, out, layers, heads, head_dim, text;
  std::vector<std::int64_t> axes;
  bool zero_cond_t;  // the references are modulated as clean pictures are, whatever the step (Qwen-Image-Edit-2511)
  std::int64_t d() const { return heads * head_dim; }
};

Sizes read_sizes(const Config& config) {
  config.require_class("QwenImageTransformer2DModel");
  for (const char* flag : {"/use_additional_t_cond", "/use_layer3d_rope", "/guidance_embeds"})
    if (config.get<bool>(flag, false))
      config.refuse(flag, "is true: models with it (Qwen-Image-Layered, distilled ones) are not supported");
  Sizes sizes{};
  sizes.patch = config.dimension("/patch_size");
  sizes.in = config.dimension("/in_channels");
  sizes.out = config.dimension("/out_channels", sizes.in);
  sizes.layers = config.dimension("/num_layers");
  sizes.heads = config.dimension("/num_attention_heads");
  sizes.head_dim = config.dimension("/attention_head_dim");
  sizes.text = config.dimension("/joint_attention_dim");
  sizes.axes = config.get<std::vector<std::int64_t>>("/axes_dims_rope");
  sizes.zero_cond_t = config.get<bool>("/zero_cond_t", false);
  const auto usable = [](std::int64_t axis) { return axis > 0 && axis % 2 == 0; };
  if (sizes.axes.size() != 3 || !std::all_of(sizes.axes.begin(), sizes.axes.end(), usable) ||
      std::accumulate(sizes.axes.begin(), sizes.axes.end(), std::int64_t{0}) != sizes.head_dim)
    config.refuse("/axes_dims_rope", "needs to be three even numbers that add up to attention_head_dim, " +
                                         std::to_string(sizes.head_dim));
  return sizes;
}

// The positions' rotations: θ^(-2i/dim) · position as unit complex numbers, (positions, dim/2).
Tensor rotations(const Tensor& positions, std::int64_t dim) {
  const Tensor exponent = at::arange(0, dim, 2).to(at::kFloat).div(dim);
  const Tensor angles = at::outer(positions, 1.0 / at::pow(at::Scalar(kRopeTheta), exponent));
  return at::polar(at::ones_like(angles), angles);
}

// (1, tokens, heads, head_dim) turned by (tokens, head_dim/2): neighbours are the two parts of one complex number.
Tensor rotate(const Tensor& x, const Tensor& rope) {
  const auto& sizes = x.sizes();
  const Tensor pairs = at::view_as_complex(x.to(at::kFloat).reshape({sizes[0], sizes[1], sizes[2], -1, 2}));
  return at::view_as_real(pairs * rope.unsqueeze(1)).flatten(3).to(x.scalar_type());
}

struct Modulated {
  Tensor x, gate;
};

// `params`: (1, 3d) as (shift, scale, gate) for all tokens, or (2, 3d): the first `target` tokens', then the others'.
Modulated modulated(const Tensor& x, const Tensor& params, std::int64_t target) {
  const auto per_token = [&](const Tensor& rows) {
    if (rows.size(0) == 1) return rows.unsqueeze(1);
    return at::cat({rows.slice(0, 0, 1).expand({target, -1}), rows.slice(0, 1).expand({x.size(1) - target, -1})}, 0)
        .unsqueeze(0);
  };
  const auto parts = params.chunk(3, -1);
  const Tensor normed = at::layer_norm(x, {x.size(-1)}, {}, {}, kNormEps);
  return {normed * (1 + per_token(parts[1])) + per_token(parts[0]), per_token(parts[2])};
}

struct Stream {  // the half of a block that belongs to the image, or to the text
  Linear modulation, q, k, v, out, up, down;
  RmsNorm norm_q, norm_k;
};

struct StreamNames {
  const char *modulation, *q, *k, *v, *out, *mlp, *norm_q, *norm_k;
};
constexpr StreamNames kImageNames{"img_mod.1", "to_q", "to_k", "to_v", "to_out.0", "img_mlp", "norm_q", "norm_k"};
constexpr StreamNames kTextNames{"txt_mod.1",  "add_q_proj", "add_k_proj",   "add_v_proj",
                                 "to_add_out", "txt_mlp",    "norm_added_q", "norm_added_k"};

Stream load_stream(const Loader& block, const StreamNames& names, const Sizes& sizes) {
  const std::int64_t d = sizes.d();
  const Loader attention = block / "attn", mlp = block / names.mlp / "net";
  return {Linear::load(block / names.modulation, d, 6 * d),
          Linear::load(attention / names.q, d, d),
          Linear::load(attention / names.k, d, d),
          Linear::load(attention / names.v, d, d),
          Linear::load(attention / names.out, d, d),
          Linear::load(mlp / "0" / "proj", d, 4 * d),
          Linear::load(mlp / "2", 4 * d, d),
          RmsNorm::load(attention / names.norm_q, sizes.head_dim, kNormEps),
          RmsNorm::load(attention / names.norm_k, sizes.head_dim, kNormEps)};
}

struct Block {
  Stream image, text;
};

struct QueryKeyValue {
  Tensor q, k, v;  // (1, tokens, heads, head_dim)
};

QueryKeyValue project(const Stream& stream, const Tensor& x, const Tensor& rope, std::int64_t head_dim) {
  const auto split = [&](const Tensor& y) { return y.unflatten(-1, {-1, head_dim}); };
  return {rotate(stream.norm_q(split(stream.q(x))), rope), rotate(stream.norm_k(split(stream.k(x))), rope),
          split(stream.v(x))};
}

// What follows the attention: gated residual, second modulation, MLP, gated residual.
Tensor finish(const Stream& stream, const Tensor& x, const Tensor& attended, const Tensor& gate, const Tensor& params,
              std::int64_t target) {
  const Tensor h = x + gate * stream.out(attended.contiguous());
  const auto [y, gate2] = modulated(h, params, target);
  const Tensor result = h + gate2 * stream.down(at::gelu(stream.up(y), "tanh"));
  return result.scalar_type() == at::kHalf ? result.clip(-65504, 65504) : result;
}

}  // namespace

struct TransformerQwenImage::State {
  Sizes sizes;
  RmsNorm text_norm;
  Linear image_in, text_in, time_1, time_2, norm_out, out;
  std::vector<Block> blocks;
  Tensor forward_rotations, backward_rotations;  // positions 0…4095 and −4096…−1, (4096, head_dim/2), on the CPU

  // One picture's rotations: the frame is its number, rows and columns are counted from its centre.
  Tensor rotations_of(std::int64_t frame, const TokenGrid& grid) const {
    const std::vector<std::int64_t> halves{sizes.axes[0] / 2, sizes.axes[1] / 2, sizes.axes[2] / 2};
    const auto forward = forward_rotations.split_with_sizes(halves, 1),
               backward = backward_rotations.split_with_sizes(halves, 1);
    const auto centred = [&](std::size_t axis, std::int64_t extent) {
      return at::cat(
          {backward[axis].slice(0, kRopePositions - (extent - extent / 2)), forward[axis].slice(0, 0, extent / 2)}, 0);
    };
    const auto [height, width] = grid;
    const std::vector<std::int64_t> all{height, width, -1};
    return at::cat(
               {forward[0][frame].view({1, 1, -1}).expand(all), centred(1, height).view({height, 1, -1}).expand(all),
                centred(2, width).view({1, width, -1}).expand(all)},
               -1)
        .reshape({height * width, -1});
  }
};

TransformerQwenImage::TransformerQwenImage(std::unique_ptr<State> state) : state_(std::move(state)) {}
TransformerQwenImage::TransformerQwenImage(TransformerQwenImage&&) noexcept = default;
TransformerQwenImage::~TransformerQwenImage() = default;

TransformerQwenImage TransformerQwenImage::load(const std::filesystem::path& folder, at::Device device,
                                                at::ScalarType dtype, std::vector<weights::Lora> loras) {
  const c10::InferenceMode inference;
  auto state = std::make_unique<State>();
  const Sizes sizes = state->sizes = read_sizes(Config::read(folder / "config.json"));
  auto checkpoint = weights::Checkpoint::open(folder);
  const Loader root(checkpoint, device, dtype, loras);
  const std::int64_t d = sizes.d();

  state->text_norm = RmsNorm::load(root / "txt_norm", sizes.text, kNormEps);
  state->image_in = Linear::load(root / "img_in", sizes.in, d);
  state->text_in = Linear::load(root / "txt_in", sizes.text, d);
  const Loader time = root / "time_text_embed" / "timestep_embedder";
  state->time_1 = Linear::load(time / "linear_1", kTimeChannels, d);
  state->time_2 = Linear::load(time / "linear_2", d, d);
  for (std::int64_t i = 0; i < sizes.layers; ++i) {
    const Loader block = root / "transformer_blocks" / static_cast<std::size_t>(i);
    state->blocks.push_back({load_stream(block, kImageNames, sizes), load_stream(block, kTextNames, sizes)});
  }
  state->norm_out = Linear::load(root / "norm_out" / "linear", d, 2 * d);
  state->out = Linear::load(root / "proj_out", d, sizes.patch * sizes.patch * sizes.out);
  checkpoint.require_complete([](const std::string&) { return false; });
  for (const auto& lora : loras) lora.require_applied();

  const Tensor forward = at::arange(kRopePositions), backward = forward.flip(0) * -1 - 1;
  std::vector<Tensor> ahead, behind;
  for (const std::int64_t axis : sizes.axes) {
    ahead.push_back(rotations(forward, axis));
    behind.push_back(rotations(backward, axis));
  }
  state->forward_rotations = at::cat(ahead, 1);
  state->backward_rotations = at::cat(behind, 1);
  return TransformerQwenImage(std::move(state));
}

std::int64_t TransformerQwenImage::in_channels() const {
  return state_->sizes.in;
}
std::int64_t TransformerQwenImage::text_channels() const {
  return state_->sizes.text;
}

bool TransformerQwenImage::zero_cond_t() const {
  return state_->sizes.zero_cond_t;
}

double TransformerQwenImage::operations(const Tokens& tokens) const {
  const Sizes& sizes = state_->sizes;
  const auto d = static_cast<double>(sizes.d()), text = static_cast<double>(tokens.text),
             image = static_cast<double>(tokens.image), all = text + image;
  const double times = sizes.zero_cond_t ? 2 : 1;  // the image's modulation is of two timesteps
  const double patch = static_cast<double>(sizes.patch * sizes.patch * sizes.out);
  // Queries, keys, values and their way out are 8 d² a token, the MLP 16 d²; attention is 4 d for each pair of tokens.
  const double block = 24 * all * d * d + 4 * all * all * d + 12 * (times + 1) * d * d;
  const double time = 2 * times * d * (static_cast<double>(kTimeChannels) + d);
  const double ends =
      2 * d * (image * static_cast<double>(sizes.in) + text * static_cast<double>(sizes.text) + 2 * d + image * patch);
  return static_cast<double>(sizes.layers) * block + time + ends;
}

std::int64_t TransformerQwenImage::text_start(const std::vector<TokenGrid>& grids) {
  std::int64_t start = 0;
  for (const auto& grid : grids) {
    if (std::max(grid.height, grid.width) > kRopePositions)
      throw Error(ErrorKind::kBadRequest,
                  "a picture of " + std::to_string(grid.width) + " × " + std::to_string(grid.height) +
                      " tokens is beyond the model's 4096 positions",
                  "size");
    start = std::max({start, grid.height / 2, grid.width / 2});
  }
  return start;
}

void TransformerQwenImage::require_room(std::int64_t text_tokens, const std::vector<TokenGrid>& grids) {
  if (const std::int64_t end = text_start(grids) + text_tokens; end > kRopePositions)
    throw Error(ErrorKind::kBadRequest,
                "the prompt of " + std::to_string(text_tokens) + " tokens ends at position " + std::to_string(end) +
                    ", beyond the model's 4096: use a shorter prompt or fewer pictures",
                "prompt");
}

TransformerQwenImage::Context TransformerQwenImage::prepare(const Tensor& embeds,
                                                            const std::vector<TokenGrid>& grids) const {
  const c10::InferenceMode inference;
  require_room(embeds.size(1), grids);
  const std::int64_t start = text_start(grids);
  std::vector<Tensor> pictures;
  for (const auto& grid : grids)
    pictures.push_back(state_->rotations_of(static_cast<std::int64_t>(pictures.size()), grid));
  return {state_->text_in(state_->text_norm(embeds)), at::cat(pictures, 0).to(embeds.device()),
          state_->forward_rotations.slice(0, start, start + embeds.size(1)).to(embeds.device()), grids.at(0).tokens()};
}

TransformerQwenImage::Modulation TransformerQwenImage::modulate(const Tensor& timestep) const {
  const c10::InferenceMode inference;
  const std::int64_t half = kTimeChannels / 2;
  const Tensor exponent = at::arange(0, half, timestep.options().dtype(at::kFloat)) * -std::log(kTimePeriod);
  const Tensor times = state_->sizes.zero_cond_t ? at::cat({timestep, timestep * 0}, 0) : timestep;
  const Tensor angles = (times.unsqueeze(1).to(at::kFloat) * at::exp(exponent / half).unsqueeze(0)) * kTimeScale;
  const Tensor wave = at::cat({at::cos(angles), at::sin(angles)}, -1).to(timestep.scalar_type());

  Modulation result;
  const Tensor embedded = state_->time_2(at::silu(state_->time_1(wave)));
  const Tensor active = at::silu(embedded);
  result.time = embedded.slice(0, 0, 1);
  for (const auto& block : state_->blocks) {
    result.image.push_back(block.image.modulation(active));
    result.text.push_back(block.text.modulation(active.slice(0, 0, 1)));
  }
  return result;
}

Tensor TransformerQwenImage::predict(const Tensor& tokens, const Context& context, const Modulation& modulation) const {
  const c10::InferenceMode inference;
  const std::int64_t head_dim = state_->sizes.head_dim, text_tokens = context.text.size(1);
  Tensor image = state_->image_in(tokens), text = context.text;
  for (std::size_t i = 0; i < state_->blocks.size(); ++i) {
    const Block& block = state_->blocks[i];
    const auto image_params = modulation.image[i].chunk(2, -1), text_params = modulation.text[i].chunk(2, -1);
    const auto [image_x, image_gate] = modulated(image, image_params[0], context.target);
    const auto [text_x, text_gate] = modulated(text, text_params[0], text_tokens);
    const auto of_image = project(block.image, image_x, context.image_rope, head_dim);
    const auto of_text = project(block.text, text_x, context.text_rope, head_dim);
    const auto joint = [](const Tensor& a, const Tensor& b) { return at::cat({a, b}, 1).permute({0, 2, 1, 3}); };
    const Tensor attended = at::scaled_dot_product_attention(joint(of_text.q, of_image.q), joint(of_text.k, of_image.k),
                                                             joint(of_text.v, of_image.v))
                                .permute({0, 2, 1, 3})
                                .flatten(2, 3);
    text = finish(block.text, text, attended.slice(1, 0, text_tokens), text_gate, text_params[1], text_tokens);
    image = finish(block.image, image, attended.slice(1, text_tokens), image_gate, image_params[1], context.target);
  }
  const auto last =
      state_->norm_out(at::silu(modulation.time)).chunk(2, 1);  // (scale, shift): the blocks' order reversed
  const Tensor normed = at::layer_norm(image, {image.size(-1)}, {}, {}, kNormEps);
  return state_->out(normed * (1 + last[0]).unsqueeze(1) + last[1].unsqueeze(1));
}

}  // namespace holdall::runtime::models
