// QwenImageTransformer2DModel: the two-stream diffusion transformer of Qwen-Image and Qwen-Image-Edit (2508, 2509,
// 2511).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "runtime/weights/lora.h"

namespace holdall::runtime::models {

// Height and width of one picture in the packed sequence, in tokens (latent size / 2).
struct TokenGrid {
  std::int64_t height, width;
  std::int64_t tokens() const { return height * width; }
};

class TransformerQwenImage {
 public:
  // Reads config.json and the weights in `folder` (a checkpoint's transformer/). Throws runtime::Error{kNotFound,
  // kBadModel}: another class, a flag of a release that is not supported, tensors that are missing, misshapen, not
  // finite or unknown: all of them.
  // `loras` change its linear layers, one after the other; a key that fits none is refused.
  static TransformerQwenImage load(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype,
                                   std::vector<weights::Lora> loras = {});
  TransformerQwenImage(TransformerQwenImage&&) noexcept;
  ~TransformerQwenImage();

  std::int64_t in_channels() const;    // of a packed latent token
  std::int64_t text_channels() const;  // of a prompt embedding
  bool zero_cond_t() const;            // as Qwen-Image-Edit-2511 has it

  // How many tokens one forward pass sees.
  struct Tokens {
    std::int64_t text, image;  // image: the target's and the references'
  };
  // The floating-point operations of one forward pass, a multiplication and an addition being two: matrix products and
  // attention, as the reference counts them.
  double operations(const Tokens& tokens) const;

  // What depends on the prompt and the pictures' sizes only: made once per prompt, used in every step.
  struct Context {
    at::Tensor text;                   // (1, text tokens, d)
    at::Tensor image_rope, text_rope;  // (tokens, head_dim/2) complex64
    std::int64_t target;               // how many of the image tokens are the target's
  };
  // Throws Error{kBadRequest} where pictures of these sizes and a prompt of so many tokens do not fit the 4096
  // positions that the model has. `grids`: the target, then the references in order.
  static void require_room(std::int64_t text_tokens, const std::vector<TokenGrid>& grids);
  // `embeds`: (1, text tokens, text_channels). Throws as require_room().
  Context prepare(const at::Tensor& embeds, const std::vector<TokenGrid>& grids) const;

  // What depends on the timestep only: made once per step, used by the passes with and without the prompt.
  struct Modulation {
    at::Tensor time;                      // (1, d)
    std::vector<at::Tensor> image, text;  // per block: (1, 6d), twice (shift, scale, gate); with zero_cond_t an image's
                                          // are (2, 6d): the target's, then the references' as at timestep 0
  };
  // `timestep`: (1) in [0, 1], in the model's dtype.
  Modulation modulate(const at::Tensor& timestep) const;

  // `tokens`: (1, target + reference tokens, in_channels). The prediction for all of them, in the same shape
  // (patch_size² · out_channels wide); the caller keeps the target's.
  at::Tensor predict(const at::Tensor& tokens, const Context& context, const Modulation& modulation) const;

 private:
  // The position of the first text token: behind every picture's.
  static std::int64_t text_start(const std::vector<TokenGrid>& grids);

  struct State;
  explicit TransformerQwenImage(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::models
