// The two resamplers of the pipelines, to the bit: PIL's Lanczos and torchvision's antialiased bicubic on uint8.
#pragma once

#include "runtime/image/picture.h"

namespace holdall::runtime::image {

// PIL.Image.resize((width, height), LANCZOS) on 8-bit RGB, of Pillow 13. Both throw Error{kBadRequest, …, "image"} for
// an empty size.
Picture resize_lanczos(const Picture& picture, int width, int height);

// `picture` with its ratio and a short side of `short_side` pixels, by Lanczos; as it is where that side is no longer.
Picture shrink_to_short_side(Picture picture, int short_side);

// torchvision's resize(BICUBIC, antialias=True) on a uint8 tensor (at::_upsample_bicubic2d_aa).
Picture resize_bicubic(const Picture& picture, int width, int height);

// diffusers' calculate_dimensions: width and height of about `area` pixels with the ratio width/height, each a multiple
// of 32, halves rounded to even. Throws Error{kBadRequest, …, "image"} where a side would be 0.
struct Size {
  int width = 0, height = 0;
};
Size dimensions_for_area(double area, double ratio);

}  // namespace holdall::runtime::image
