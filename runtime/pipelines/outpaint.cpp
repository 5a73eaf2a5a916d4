#include "runtime/pipelines/outpaint.h"

#include <algorithm>
#include <string>

#include "runtime/pipelines/settings.h"

namespace holdall::runtime::pipelines {

namespace {

using image::Picture;

// Where `inner` of `outer` pixels begins: 0, 1 and 2 are the near end, the middle and the far end.
int place(int outer, int inner, int third) {
  return (outer - inner) * third / 2;
}

std::uint8_t* pixel(Picture& picture, int x, int y) {
  return &picture.rgb[(static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
                       static_cast<std::size_t>(x)) *
                      3];
}

Picture blank(const image::Size& size, std::uint8_t value) {
  const auto values = static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) * 3;
  return {size.width, size.height, std::vector<std::uint8_t>(values, value)};
}

}  // namespace

Request outpaint(const Request& request, const Canvas& canvas) {
  if (request.mask) refuse("mask", "an anchor makes its own mask: leave out one of them");
  if (request.images.empty()) refuse("image", "an anchor says where a picture lies, and there is none");
  Request result = request;
  Picture& inner = result.images[0];
  const auto& [width, height] = canvas.size;
  if (inner.width > width || inner.height > height || (inner.width == width && inner.height == height))
    refuse("size", "the size is " + std::to_string(width) + " × " + std::to_string(height) +
                       " in whole tokens, the picture's " + std::to_string(inner.width) + " × " +
                       std::to_string(inner.height) + ": an anchor needs a canvas that is larger");
  const int which = static_cast<int>(*request.anchor);
  const int left = place(width, inner.width, which % 3), top = place(height, inner.height, which / 3);

  Picture outer = blank(canvas.size, 0), mask = blank(canvas.size, 0xff);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      std::copy_n(pixel(inner, std::clamp(x - left, 0, inner.width - 1), std::clamp(y - top, 0, inner.height - 1)), 3,
                  pixel(outer, x, y));
  const int grain = canvas.grain;
  const auto up = [grain](int value) { return (value + grain - 1) / grain * grain; };
  const int end_x = (left + inner.width) / grain * grain, end_y = (top + inner.height) / grain * grain;
  for (int y = up(top); y < end_y; ++y)
    for (int x = up(left); x < end_x; ++x) std::fill_n(pixel(mask, x, y), 3, std::uint8_t{0});

  inner = std::move(outer);
  result.mask = std::move(mask);
  result.size = canvas.size;
  result.anchor.reset();
  if (!result.strength) result.strength = 1;
  return result;
}

}  // namespace holdall::runtime::pipelines
