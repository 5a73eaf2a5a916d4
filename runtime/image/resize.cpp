// Both resamplers are the same separable one: each output pixel is a weighted sum of the input pixels under a filter
// that is stretched when shrinking, along rows and along columns, rounded to 8 bits after each. Weights are integers,
// and only their scale differs: 22 bits for PIL (src/libImaging/Resample.c), for ATen as many bits as let the largest
// weight fit 16 bits (aten/src/ATen/native/cpu/UpSampleKernel.cpp). The sums are exact, so the order of additions is
// free.
#include "runtime/image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "runtime/error.h"

namespace holdall::runtime::image {
namespace {

struct Filter {
  double support;  // input pixels on each side at scale 1
  double (*weight)(double);
};

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}
double lanczos(double x) {
  return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

// Keys' cubic with a = −1/2.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// The weights of one axis: output pixel i takes input pixels first[i] … first[i] + count[i] − 1.
struct Weights {
  std::vector<int> first, count;
  std::size_t taps = 0;  // row length of `exact` and `fixed`
  std::vector<double> exact;
  std::vector<std::int32_t> fixed;  // exact · 2^bits, halves away from zero
  int bits = 0;
};

Weights exact_weights(int in, int out, const Filter& filter) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);
  const double support = filter.support * stretch, shrink = 1.0 / stretch;
  Weights weights;
  weights.taps = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  weights.exact.resize(weights.taps * static_cast<std::size_t>(out));
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int count = std::min(static_cast<int>(centre + support + 0.5), in) - first;
    double* row = &weights.exact[weights.taps * static_cast<std::size_t>(i)];
    double sum = 0;
    for (int j = 0; j < count; ++j) sum += row[j] = filter.weight((j + first - centre + 0.5) * shrink);
    if (sum != 0.0) std::for_each_n(row, count, [sum](double& weight) { weight /= sum; });
    weights.first.push_back(first);
    weights.count.push_back(count);
  }
  return weights;
}

void fix(Weights& weights, int bits) {
  weights.bits = bits;
  for (const double weight : weights.exact) {
    weights.fixed.push_back(static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << bits)));
  }
}

Weights pil_weights(int in, int out) {
  Weights weights = exact_weights(in, out, {3.0, lanczos});
  fix(weights, 32 - 8 - 2);
  return weights;
}

Weights aten_weights(int in, int out) {
  Weights weights = exact_weights(in, out, {2.0, cubic});
  const double largest = *std::max_element(weights.exact.begin(), weights.exact.end());
  int bits = 0;
  while (bits < 22 && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < 1 << 15) ++bits;
  fix(weights, bits);
  return weights;
}

std::uint8_t to_byte(std::int32_t sum, int bits) {
  return static_cast<std::uint8_t>(std::clamp(sum >> bits, 0, 255));
}

Picture resize_rows(const Picture& in, int width, const Weights& weights) {
  Picture out{width, in.height, std::vector<std::uint8_t>(std::size_t(width) * std::size_t(in.height) * 3)};
  std::uint8_t* to = out.rgb.data();
  for (int y = 0; y < in.height; ++y) {
    const std::uint8_t* row = &in.rgb[std::size_t(y) * std::size_t(in.width) * 3];
    for (int x = 0; x < width; ++x, to += 3) {
      const std::int32_t* weight = &weights.fixed[weights.taps * std::size_t(x)];
      const std::uint8_t* from = row + std::size_t(weights.first[std::size_t(x)]) * 3;
      std::int32_t red = 1 << weights.bits >> 1, green = red, blue = red;
      for (int j = 0, count = weights.count[std::size_t(x)]; j < count; ++j, from += 3) {
        red += from[0] * weight[j];
        green += from[1] * weight[j];
        blue += from[2] * weight[j];
      }
      to[0] = to_byte(red, weights.bits);
      to[1] = to_byte(green, weights.bits);
      to[2] = to_byte(blue, weights.bits);
    }
  }
  return out;
}

Picture resize_columns(const Picture& in, int height, const Weights& weights) {
  const std::size_t stride = std::size_t(in.width) * 3;
  Picture out{in.width, height, std::vector<std::uint8_t>(stride * std::size_t(height))};
  std::vector<std::int32_t> sums(stride);
  for (int y = 0; y < height; ++y) {
    const std::int32_t* weight = &weights.fixed[weights.taps * std::size_t(y)];
    const std::uint8_t* from = &in.rgb[std::size_t(weights.first[std::size_t(y)]) * stride];
    std::fill(sums.begin(), sums.end(), 1 << weights.bits >> 1);
    for (int j = 0, count = weights.count[std::size_t(y)]; j < count; ++j, from += stride) {
      for (std::size_t i = 0; i < stride; ++i) sums[i] += from[i] * weight[j];
    }
    std::uint8_t* to = &out.rgb[std::size_t(y) * stride];
    for (std::size_t i = 0; i < stride; ++i) to[i] = to_byte(sums[i], weights.bits);
  }
  return out;
}

enum class First { kRows, kColumns };

// An axis that keeps its length would be multiplied by 1.
Picture resize(const Picture& picture, Size to, Weights (*weights)(int in, int out), First first) {
  if (to.width <= 0 || to.height <= 0 || picture.width <= 0 || picture.height <= 0) {
    throw Error(ErrorKind::kBadRequest,
                "cannot resize a picture of " + std::to_string(picture.width) + "x" + std::to_string(picture.height) +
                    " pixels to " + std::to_string(to.width) + "x" + std::to_string(to.height),
                "image");
  }
  const auto rows = [&](const Picture& in) {
    return in.width == to.width ? in : resize_rows(in, to.width, weights(in.width, to.width));
  };
  const auto columns = [&](const Picture& in) {
    return in.height == to.height ? in : resize_columns(in, to.height, weights(in.height, to.height));
  };
  return first == First::kRows ? columns(rows(picture)) : rows(columns(picture));
}

}  // namespace

// Since version 13 PIL begins with the columns where that leaves much less for the rows to do, and rounding in between
// makes the order show.
Picture resize_lanczos(const Picture& picture, int width, int height) {
  const int fewer_rows = picture.height - height, fewer_columns = picture.width - width;
  const bool tall = fewer_rows > 0 && fewer_rows > 2 * std::int64_t{fewer_columns};
  return resize(picture, {width, height}, pil_weights, tall ? First::kColumns : First::kRows);
}

Picture shrink_to_short_side(Picture picture, int short_side) {
  const int shorter = std::min(picture.width, picture.height);
  if (shorter <= short_side) return picture;
  const auto scaled = [&](int side) {
    return static_cast<int>((std::int64_t{side} * short_side + shorter / 2) / shorter);
  };
  return resize_lanczos(picture, scaled(picture.width), scaled(picture.height));
}

Picture resize_bicubic(const Picture& picture, int width, int height) {
  return resize(picture, {width, height}, aten_weights, First::kRows);
}

Size dimensions_for_area(double area, double ratio) {
  // nearbyint rounds halves to even, as Python's round does, in the default rounding mode.
  const double width = std::sqrt(area * ratio);
  const Size size{static_cast<int>(std::nearbyint(width / 32)) * 32,
                  static_cast<int>(std::nearbyint(width / ratio / 32)) * 32};
  if (size.width <= 0 || size.height <= 0) {
    throw Error(ErrorKind::kBadRequest,
                "cannot scale a picture whose sides are " + std::to_string(ratio) + " to 1 to " +
                    std::to_string(static_cast<std::int64_t>(area)) + " pixels: crop it",
                "image");
  }
  return size;
}

}  // namespace holdall::runtime::image
