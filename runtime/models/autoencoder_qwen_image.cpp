// The network is made for video: every convolution looks at two frames before the present one. For a single picture
// those are zeros, so a k×k×k convolution is the k×k convolution of its last time slice, and the time convolutions
// between scales never run: 2.5 times less work, and none of their weights in memory. Follows diffusers'
// autoencoder_kl_qwenimage.py otherwise.
#include "runtime/models/autoencoder_qwen_image.h"

#include <ATen/ops/_upsample_nearest_exact2d.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/error.h"
#include "runtime/models/module.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::models {

namespace {

using at::Tensor;
using weights::Config;

// How many tensors of the picture's size, as many channels as the first scale's, are held at once;
// tests/runtime/pipelines/full_size.sh compares.
constexpr double kTensorsOfBlock = 9;

enum class Kernel { kSpaceTime, kSpace };  // how the checkpoint stores a convolution: five or four dimensions

struct Convolution {
  Tensor weight, bias;

  static Convolution load(const Loader& loader, std::int64_t in, std::int64_t out, std::int64_t size, Kernel kernel) {
    Tensor weight = kernel == Kernel::kSpace
                        ? loader.take("weight", {out, in, size, size})
                        : loader.take("weight", {out, in, size, size, size}).select(2, size - 1).contiguous();
    return {std::move(weight), loader.take("bias", {out})};
  }
  Tensor operator()(const Tensor& x) const { return at::conv2d(x, weight, bias, 1, weight.size(-1) / 2); }
};

struct ChannelNorm {  // L2 norm over the channels, in float32 for half types, times √channels · γ
  Tensor gamma;       // (channels, 1, 1)

  static ChannelNorm load(const Loader& loader, std::int64_t channels, Kernel kernel) {
    if (kernel == Kernel::kSpace) return {loader.take("gamma", {channels, 1, 1})};
    return {loader.take("gamma", {channels, 1, 1, 1}).squeeze(-1)};
  }
  Tensor operator()(const Tensor& x) const {
    const Tensor y = x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
    const Tensor norm = at::linalg_vector_norm(y, 2, at::IntArrayRef{1}, /*keepdim=*/true).clamp_min(1e-12);
    return (y / norm).to(x.scalar_type()) * std::sqrt(static_cast<double>(gamma.size(0))) * gamma;
  }
};

struct ResidualBlock {
  ChannelNorm norm_1, norm_2;
  Convolution conv_1, conv_2;
  std::optional<Convolution> shortcut;

  static ResidualBlock load(const Loader& loader, std::int64_t in, std::int64_t out) {
    ResidualBlock block{ChannelNorm::load(loader / "norm1", in, Kernel::kSpaceTime),
                        ChannelNorm::load(loader / "norm2", out, Kernel::kSpaceTime),
                        Convolution::load(loader / "conv1", in, out, 3, Kernel::kSpaceTime),
                        Convolution::load(loader / "conv2", out, out, 3, Kernel::kSpaceTime), std::nullopt};
    if (in != out) block.shortcut = Convolution::load(loader / "conv_shortcut", in, out, 1, Kernel::kSpaceTime);
    return block;
  }
  Tensor operator()(const Tensor& x) const {
    const Tensor kept = shortcut ? (*shortcut)(x) : x;
    return conv_2(at::silu(norm_2(conv_1(at::silu(norm_1(x)))))) + kept;
  }
};

struct AttentionBlock {  // one head over all pixels
  ChannelNorm norm;
  Convolution to_qkv, proj;

  static AttentionBlock load(const Loader& loader, std::int64_t channels) {
    return {ChannelNorm::load(loader / "norm", channels, Kernel::kSpace),
            Convolution::load(loader / "to_qkv", channels, 3 * channels, 1, Kernel::kSpace),
            Convolution::load(loader / "proj", channels, channels, 1, Kernel::kSpace)};
  }
  Tensor operator()(const Tensor& x) const {
    const Tensor qkv = to_qkv(norm(x)).reshape({1, 1, 3 * x.size(1), -1}).permute({0, 1, 3, 2}).contiguous();
    const auto parts = qkv.chunk(3, -1);
    const Tensor attended = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
    return proj(attended.squeeze(1).permute({0, 2, 1}).reshape(x.sizes())) + x;
  }
};

struct MiddleBlock {
  ResidualBlock first;
  AttentionBlock attention;
  ResidualBlock second;

  static MiddleBlock load(const Loader& loader, std::int64_t channels) {
    return {ResidualBlock::load(loader / "resnets" / "0", channels, channels),
            AttentionBlock::load(loader / "attentions" / "0", channels),
            ResidualBlock::load(loader / "resnets" / "1", channels, channels)};
  }
  Tensor operator()(const Tensor& x) const { return second(attention(first(x))); }
};

struct Scale {  // residual blocks, and the step to the next scale unless it is the last one
  std::vector<ResidualBlock> blocks;
  std::optional<Convolution> resample;

  Tensor residual(Tensor x) const {
    for (const auto& block : blocks) x = block(x);
    return x;
  }
};

Tensor down(const Scale& scale, const Tensor& x) {
  Tensor y = scale.residual(x);
  if (!scale.resample) return y;
  return at::conv2d(at::constant_pad_nd(y, {0, 1, 0, 1}), scale.resample->weight, scale.resample->bias, 2);
}

Tensor up(const Scale& scale, const Tensor& x) {
  const Tensor y = scale.residual(x);
  return scale.resample ? (*scale.resample)(at::_upsample_nearest_exact2d(y, {2 * y.size(2), 2 * y.size(3)})) : y;
}

struct Sizes {
  std::int64_t base, z, input, blocks;
  std::vector<std::int64_t> mult;
};

Sizes read_sizes(const Config& config) {
  config.require_class("AutoencoderKLQwenImage");
  Sizes sizes{config.dimension("/base_dim"), config.dimension("/z_dim"), config.dimension("/input_channels", 3),
              config.dimension("/num_res_blocks"), config.get<std::vector<std::int64_t>>("/dim_mult")};
  if (sizes.input != 3)
    config.refuse("/input_channels", "is " + std::to_string(sizes.input) + ": only RGB autoencoders are supported");
  if (config.count("/attn_scales") != 0)
    config.refuse("/attn_scales", "is not empty: attention outside the middle is not supported");
  if (sizes.mult.empty() || sizes.mult.size() > 8) config.refuse("/dim_mult", "needs one to eight numbers");
  for (const auto mult : sizes.mult)
    if (mult < 1 || mult > 1024) config.refuse("/dim_mult", "needs numbers from 1 to 1024");
  const auto steps = config.get<std::vector<bool>>("/temperal_downsample").size();
  if (steps + 1 != sizes.mult.size())
    config.refuse("/temperal_downsample", "has " + std::to_string(steps) + " values, needed one less than dim_mult's " +
                                              std::to_string(sizes.mult.size()));
  return sizes;
}

// A list of `z` numbers as (1, z, 1, 1) in float32.
Tensor per_channel(const Config& config, const std::string& pointer, std::int64_t z) {
  const auto values = config.get<std::vector<double>>(pointer);
  if (static_cast<std::int64_t>(values.size()) != z)
    config.refuse(pointer, "has " + std::to_string(values.size()) + " values, needed z_dim's " + std::to_string(z));
  return at::tensor(values, at::kDouble).to(at::kFloat).view({1, z, 1, 1});
}

}  // namespace

struct AutoencoderQwenImage::State {
  Sizes sizes;
  Tensor mean, deviation;
  Convolution encoder_in, encoder_out, quant, post_quant, decoder_in, decoder_out;
  std::vector<Scale> downs, ups;
  MiddleBlock encoder_middle, decoder_middle;
  ChannelNorm encoder_norm, decoder_norm;

  void load_encoder(const Loader& loader) {
    constexpr auto kernel = Kernel::kSpaceTime;
    std::int64_t width = sizes.base;
    encoder_in = Convolution::load(loader / "conv_in", sizes.input, width, 3, kernel);
    std::size_t index = 0;  // the encoder numbers blocks and steps in one list
    for (std::size_t i = 0; i < sizes.mult.size(); ++i) {
      Scale scale;
      const std::int64_t out = sizes.base * sizes.mult[i];
      for (std::int64_t j = 0; j < sizes.blocks; ++j, width = out)
        scale.blocks.push_back(ResidualBlock::load(loader / "down_blocks" / index++, width, out));
      if (i + 1 < sizes.mult.size())
        scale.resample =
            Convolution::load(loader / "down_blocks" / index++ / "resample" / "1", out, out, 3, Kernel::kSpace);
      downs.push_back(std::move(scale));
    }
    encoder_middle = MiddleBlock::load(loader / "mid_block", width);
    encoder_norm = ChannelNorm::load(loader / "norm_out", width, kernel);
    encoder_out = Convolution::load(loader / "conv_out", width, 2 * sizes.z, 3, kernel);
  }

  void load_decoder(const Loader& loader) {
    constexpr auto kernel = Kernel::kSpaceTime;
    std::int64_t width = sizes.base * sizes.mult.back();
    decoder_in = Convolution::load(loader / "conv_in", sizes.z, width, 3, kernel);
    decoder_middle = MiddleBlock::load(loader / "mid_block", width);
    for (std::size_t i = 0; i < sizes.mult.size(); ++i) {
      Scale scale;
      const Loader block = loader / "up_blocks" / i;
      const std::int64_t out = sizes.base * sizes.mult[sizes.mult.size() - 1 - i];
      for (std::int64_t j = 0; j <= sizes.blocks; ++j, width = out)
        scale.blocks.push_back(ResidualBlock::load(block / "resnets" / static_cast<std::size_t>(j), width, out));
      if (i + 1 < sizes.mult.size()) {  // the step up halves the channels
        scale.resample =
            Convolution::load(block / "upsamplers" / "0" / "resample" / "1", out, out / 2, 3, Kernel::kSpace);
        width = out / 2;
      }
      ups.push_back(std::move(scale));
    }
    decoder_norm = ChannelNorm::load(loader / "norm_out", width, kernel);
    decoder_out = Convolution::load(loader / "conv_out", width, sizes.input, 3, kernel);
  }
};

AutoencoderQwenImage::AutoencoderQwenImage(std::unique_ptr<State> state) : state_(std::move(state)) {}
AutoencoderQwenImage::AutoencoderQwenImage(AutoencoderQwenImage&&) noexcept = default;
AutoencoderQwenImage::~AutoencoderQwenImage() = default;

AutoencoderQwenImage AutoencoderQwenImage::load(const std::filesystem::path& folder, at::Device device,
                                                at::ScalarType dtype) {
  const c10::InferenceMode inference;
  auto state = std::make_unique<State>();
  const auto config = Config::read(folder / "config.json");
  const std::int64_t z = (state->sizes = read_sizes(config)).z;
  state->mean = per_channel(config, "/latents_mean", z).to(device, dtype);
  state->deviation = per_channel(config, "/latents_std", z).to(device, dtype);
  auto checkpoint = weights::Checkpoint::open(folder);
  const Loader root(checkpoint, device, dtype);
  state->load_encoder(root / "encoder");
  state->quant = Convolution::load(root / "quant_conv", 2 * z, 2 * z, 1, Kernel::kSpaceTime);
  state->post_quant = Convolution::load(root / "post_quant_conv", z, z, 1, Kernel::kSpaceTime);
  state->load_decoder(root / "decoder");
  checkpoint.require_complete(ignores);
  return AutoencoderQwenImage(std::move(state));
}

std::int64_t AutoencoderQwenImage::scale() const {
  return std::int64_t{1} << (state_->sizes.mult.size() - 1);
}
std::int64_t AutoencoderQwenImage::channels() const {
  return state_->sizes.z;
}

double AutoencoderQwenImage::workspace(std::int64_t pixels, std::size_t size) const {
  return kTensorsOfBlock * static_cast<double>(size) *
         static_cast<double>(pixels * state_->sizes.base * state_->sizes.mult[0]);
}
bool AutoencoderQwenImage::ignores(const std::string& tensor) {
  return tensor.find(".time_conv.") != std::string::npos;
}

AutoencoderQwenImage::Posterior AutoencoderQwenImage::posterior(const Tensor& picture) const {
  const c10::InferenceMode inference;
  const State& s = *state_;
  Tensor x = s.encoder_in(picture);
  for (const auto& scale : s.downs) x = down(scale, x);
  x = s.encoder_out(at::silu(s.encoder_norm(s.encoder_middle(x))));
  const auto parts = s.quant(x).chunk(2, 1);
  return {parts[0], at::exp(0.5 * parts[1].clamp(-30.0, 20.0))};
}

Tensor AutoencoderQwenImage::encode(const Tensor& picture) const {
  const c10::InferenceMode inference;
  return (posterior(picture).mean - state_->mean) / state_->deviation;
}

Tensor AutoencoderQwenImage::sample(const Posterior& posterior, const Tensor& noise) const {
  const c10::InferenceMode inference;
  return (posterior.mean + posterior.deviation * noise - state_->mean) * (1.0 / state_->deviation);
}

Tensor AutoencoderQwenImage::decode(const Tensor& latents) const {
  const c10::InferenceMode inference;
  const State& s = *state_;
  Tensor x = s.decoder_middle(s.decoder_in(s.post_quant(latents / (1.0 / s.deviation) + s.mean)));
  for (const auto& scale : s.ups) x = up(scale, x);
  return s.decoder_out(at::silu(s.decoder_norm(x))).clamp(-1, 1);
}

}  // namespace holdall::runtime::models
