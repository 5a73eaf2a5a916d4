// Qwen2-VL's image processor: a picture to patches.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "runtime/image/picture.h"
#include "runtime/image/resize.h"
#include "runtime/models/qwen2_5_vl_config.h"

namespace holdall::runtime::models::qwen25vl {

// The size near `width` × `height` whose sides are multiples of patch · merge and whose area lies within the config's
// limits (transformers' smart_resize). Throws Error{kBadRequest, …, "image"} for a ratio beyond 200.
image::Size smart_resize(image::Size size, const ProcessorConfig& config);

struct Patches {
  at::Tensor values;  // (patches, channels · temporal_patch · patch²) float32, in merge × merge order
  std::array<std::int64_t, 3> grid;  // t, h, w
};
Patches to_patches(const image::Picture& picture, const ProcessorConfig& config);

}  // namespace holdall::runtime::models::qwen25vl
