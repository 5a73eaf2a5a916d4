// Between 8-bit pictures, latents and the tokens that the transformer sees.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "runtime/image/picture.h"
#include "runtime/models/transformer_qwen_image.h"
#include "runtime/pipelines/device.h"

namespace holdall::runtime::pipelines {

// 8-bit RGB → (1, 3, H, W) float32 in [-1, 1].
at::Tensor to_tensor(const image::Picture& picture);
// (3, H, W) floats in [0, 1] → 8-bit RGB, halves rounded to even.
image::Picture to_picture(const at::Tensor& values);

// (1, C, H, W) latents ↔ (1, H·W/4, 4C) tokens: one token is a square of 2 × 2.
at::Tensor pack(const at::Tensor& latents);
at::Tensor unpack(const at::Tensor& tokens, const models::TokenGrid& grid);

// A mask as the tokens see it, (1, tokens, 4·channels) float32: 1 where `mask`, stretched to the output's size, is at
// least half bright at the corner of a latent pixel. `scale`: pixels per latent pixel.
at::Tensor pack_mask(const image::Picture& mask, std::int64_t scale, std::int64_t channels);

// The source of one picture's random numbers: a seed alone decides them. On the CPU whatever the device, so that a seed
// means the same picture everywhere.
class Noise {
 public:
  Noise(std::uint64_t seed, const Placement& placement);
  // Standard normal, in the model's dtype on its device: the next of `shape`.
  at::Tensor draw(at::IntArrayRef shape);

 private:
  at::Generator generator_;
  Placement placement_;
};

}  // namespace holdall::runtime::pipelines
