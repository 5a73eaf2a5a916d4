// AutoencoderKLQwenImage: pictures to latents and back, one frame at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace holdall::runtime::models {

class AutoencoderQwenImage {
 public:
  // Reads config.json and the weights in `folder` (a checkpoint's vae/). Throws runtime::Error{kNotFound, kBadModel}.
  static AutoencoderQwenImage load(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype);
  AutoencoderQwenImage(AutoencoderQwenImage&&) noexcept;
  ~AutoencoderQwenImage();

  std::int64_t scale() const;     // pixels per latent pixel, on a side
  std::int64_t channels() const;  // of a latent
  // Bytes that encode() or decode() of so many pixels takes beside the weights, where a value takes `size`; an
  // estimate.
  double workspace(std::int64_t pixels, std::size_t size) const;
  // Whether a checkpoint's tensor of this name is of no use here: the time convolutions of videos.
  static bool ignores(const std::string& tensor);

  // (1, 3, H, W) in [-1, 1], the model's dtype, H and W multiples of scale() → the posterior's mean, normalised by the
  // configured latents_mean and latents_std: (1, channels, H/scale, W/scale).
  at::Tensor encode(const at::Tensor& picture) const;

  // What encode() takes the mean of, not yet normalised: (1, channels, H/scale, W/scale) each.
  struct Posterior {
    at::Tensor mean, deviation;
  };
  Posterior posterior(const at::Tensor& picture) const;
  // One sample of it, normalised; `noise`: standard normal, of its shape.
  at::Tensor sample(const Posterior& posterior, const at::Tensor& noise) const;

  // The way back; values clamped to [-1, 1].
  at::Tensor decode(const at::Tensor& latents) const;

 private:
  struct State;
  explicit AutoencoderQwenImage(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::models
