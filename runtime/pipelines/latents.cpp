#include "runtime/pipelines/latents.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/randn.h>

#include <cstring>

namespace holdall::runtime::pipelines {

using at::Tensor;
using image::Picture;

namespace {

// (H, W, 3) bytes of a picture that outlives the result.
Tensor view(const Picture& picture) {
  return at::from_blob(const_cast<std::uint8_t*>(picture.rgb.data()), {picture.height, picture.width, 3}, at::kByte);
}

}  // namespace

Tensor to_tensor(const Picture& picture) {
  return (view(picture).to(at::kFloat) / 255.0).permute({2, 0, 1}).unsqueeze(0).contiguous() * 2.0 - 1.0;
}

Picture to_picture(const Tensor& values) {
  const Tensor bytes = (values.permute({1, 2, 0}) * 255).round().to(at::kByte).contiguous();
  Picture picture{static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)), {}};
  picture.rgb.resize(bytes.nbytes());
  std::memcpy(picture.rgb.data(), bytes.const_data_ptr(), bytes.nbytes());
  return picture;
}

Tensor pack(const Tensor& latents) {
  const auto c = latents.size(1), h = latents.size(2), w = latents.size(3);
  return latents.view({1, c, h / 2, 2, w / 2, 2}).permute({0, 2, 4, 1, 3, 5}).reshape({1, h / 2 * (w / 2), 4 * c});
}

Tensor unpack(const Tensor& tokens, const models::TokenGrid& grid) {
  const auto c = tokens.size(2) / 4;
  return tokens.view({1, grid.height, grid.width, c, 2, 2})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({1, c, 2 * grid.height, 2 * grid.width});
}

Tensor pack_mask(const Picture& mask, std::int64_t scale, std::int64_t channels) {
  const Tensor rgb = view(mask).to(at::kInt);
  // PIL's convert("L"): ITU-R 601-2 in 16 bits, halves rounded up.
  const Tensor grey =
      (rgb.select(2, 0) * 19595 + rgb.select(2, 1) * 38470 + rgb.select(2, 2) * 7471 + 0x8000).bitwise_right_shift(16);
  const Tensor repainted = (grey.to(at::kFloat) / 255.0).ge(0.5).to(at::kFloat);
  const Tensor nearest = repainted.slice(0, 0, {}, scale).slice(1, 0, {}, scale);
  return pack(nearest.expand({1, channels, -1, -1}).contiguous());
}

Noise::Noise(std::uint64_t seed, const Placement& placement)
    : generator_(at::detail::createCPUGenerator(seed)), placement_(placement) {}

Tensor Noise::draw(at::IntArrayRef shape) {
  return at::randn(shape, generator_, at::TensorOptions(placement_.dtype)).to(placement_.device);
}

}  // namespace holdall::runtime::pipelines
