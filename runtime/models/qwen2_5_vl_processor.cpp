#include "runtime/models/qwen2_5_vl_processor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <algorithm>
#include <cmath>
#include <string>

#include "runtime/error.h"

namespace holdall::runtime::models::qwen25vl {
namespace {

constexpr double kWidestRatio = 200;

// (3, 1, 1) float32: `values` in the scale of bytes.
at::Tensor per_channel(const std::array<double, 3>& values, double rescale) {
  return (at::tensor(at::ArrayRef<double>(values.data(), values.size()), at::kFloat) * (1.0 / rescale)).view({3, 1, 1});
}

}  // namespace

image::Size smart_resize(image::Size size, const ProcessorConfig& config) {
  const double height = size.height, width = size.width;
  if (size.height <= 0 || size.width <= 0 || std::max(height, width) / std::min(height, width) > kWidestRatio) {
    throw Error(ErrorKind::kBadRequest,
                "cannot use a picture of " + std::to_string(size.width) + "x" + std::to_string(size.height) +
                    " pixels: one side is more than 200 times the other: crop it",
                "image");
  }
  const auto factor = static_cast<double>(config.patch * config.merge);
  const auto most = static_cast<double>(config.max_pixels), least = static_cast<double>(config.min_pixels);
  // Halves to even, as Python rounds.
  double rows = std::nearbyint(height / factor) * factor, columns = std::nearbyint(width / factor) * factor;
  if (rows * columns > most) {
    const double beta = std::sqrt(height * width / most);
    rows = std::max(factor, std::floor(height / beta / factor) * factor);
    columns = std::max(factor, std::floor(width / beta / factor) * factor);
  } else if (rows * columns < least) {
    const double beta = std::sqrt(least / (height * width));
    rows = std::ceil(height * beta / factor) * factor;
    columns = std::ceil(width * beta / factor) * factor;
  }
  if (rows < factor || columns < factor) {  // a side under half a token, in an area that is large enough
    throw Error(ErrorKind::kBadRequest,
                "cannot use a picture of " + std::to_string(size.width) + "x" + std::to_string(size.height) +
                    " pixels: it is too narrow: crop it",
                "image");
  }
  return {static_cast<int>(columns), static_cast<int>(rows)};
}

Patches to_patches(const image::Picture& picture, const ProcessorConfig& config) {
  const image::Size size = smart_resize({picture.width, picture.height}, config);
  image::Picture resized = image::resize_bicubic(picture, size.width, size.height);
  const std::int64_t rows = size.height / config.patch, columns = size.width / config.patch;
  const at::Tensor bytes =
      at::from_blob(resized.rgb.data(), {size.height, size.width, 3}, at::kByte).permute({2, 0, 1});
  const at::Tensor values = bytes.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true, at::MemoryFormat::Contiguous)
                                .sub_(per_channel(config.mean, config.rescale))
                                .div_(per_channel(config.deviation, config.rescale));
  const at::Tensor squares =
      values
          .view(
              {3, rows / config.merge, config.merge, config.patch, columns / config.merge, config.merge, config.patch})
          .permute({1, 4, 2, 5, 0, 3, 6});  // square row, square column, row, column, channel, y, x
  return {squares.unsqueeze(5)
              .expand({-1, -1, -1, -1, -1, config.temporal_patch, -1, -1})
              .reshape({rows * columns, 3 * config.temporal_patch * config.patch * config.patch}),
          {1, rows, columns}};
}

}  // namespace holdall::runtime::models::qwen25vl
