#include "runtime/image/resize.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include <random>

#include "runtime/error.h"

namespace holdall::runtime::image {
namespace {

Picture noise(int width, int height) {
  Picture picture{width, height,
                  std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)};
  std::mt19937 generator(static_cast<unsigned>(width * 7919 + height));
  std::uint8_t value = 128;
  for (std::uint8_t& byte : picture.rgb) {  // long saturated runs and sharp edges, where overshoot and rounding show
    if (generator() % 5 == 0)
      value = static_cast<std::uint8_t>(generator() % 3 == 0 ? generator() : generator() % 2 * 255);
    byte = value;
  }
  return picture;
}

Picture by_aten(Picture picture, int width, int height) {
  const at::Tensor in = at::from_blob(picture.rgb.data(), {picture.height, picture.width, 3}, at::kByte)
                            .permute({2, 0, 1})
                            .contiguous()
                            .unsqueeze(0);
  const at::Tensor out = at::_upsample_bicubic2d_aa(in, {height, width}, /*align_corners=*/false)
                             .squeeze(0)
                             .permute({1, 2, 0})
                             .contiguous();
  const auto* data = out.data_ptr<std::uint8_t>();
  return {width, height, {data, data + out.numel()}};
}

TEST(ShrinkToShortSide, KeepsTheRatioAndNeverEnlarges) {
  const auto shrunk = [](int width, int height, int side) {
    const Picture picture = shrink_to_short_side(noise(width, height), side);
    return std::pair(picture.width, picture.height);
  };
  EXPECT_EQ(shrunk(400, 300, 100), std::pair(133, 100));
  EXPECT_EQ(shrunk(300, 500, 100), std::pair(100, 167)) << "rounded, not cut";
  EXPECT_EQ(shrunk(100, 700, 100), std::pair(100, 700));
  EXPECT_EQ(shrunk(20, 30, 100), std::pair(20, 30));
  EXPECT_EQ(shrink_to_short_side(noise(40, 30), 10).rgb, resize_lanczos(noise(40, 30), 13, 10).rgb);
}

TEST(ResizeBicubic, GivesAtensBits) {
  const int sides[] = {1, 2, 5, 28, 61, 84, 140, 333};
  for (const int in_width : {1, 3, 97, 256}) {
    for (const int in_height : {1, 4, 131}) {
      const Picture picture = noise(in_width, in_height);
      for (const int width : sides) {
        for (const int height : sides) {
          if (width * height == 1) continue;  // ATen asserts: a 1×1 tensor is contiguous in both memory formats
          const Picture ours = resize_bicubic(picture, width, height);
          ASSERT_EQ(ours.rgb, by_aten(picture, width, height).rgb)
              << in_width << "x" << in_height << " to " << width << "x" << height;
          ASSERT_EQ(ours.width, width);
          ASSERT_EQ(ours.height, height);
        }
      }
    }
  }
}

TEST(Resize, KeepsFlatColours) {
  Picture picture{37, 11, {}};
  for (int i = 0; i < 37 * 11; ++i) picture.rgb.insert(picture.rgb.end(), {0, 255, 99});
  for (const Picture& resized : {resize_lanczos(picture, 91, 5), resize_bicubic(picture, 13, 64)}) {
    for (std::size_t i = 0; i < resized.rgb.size(); i += 3) {
      ASSERT_EQ(resized.rgb[i], 0);
      ASSERT_EQ(resized.rgb[i + 1], 255);
      ASSERT_EQ(resized.rgb[i + 2], 99);
    }
  }
}

TEST(Resize, RefusesEmptySizes) {
  EXPECT_THROW(resize_lanczos(noise(4, 4), 0, 4), Error);
  EXPECT_THROW(resize_bicubic(noise(4, 4), 4, -1), Error);
  EXPECT_THROW(resize_lanczos(Picture{}, 4, 4), Error);
}

// Expected values: diffusers' calculate_dimensions in Python.
TEST(DimensionsForArea, RoundsToMultiplesOf32) {
  const auto expect = [](double area, double ratio, int width, int height) {
    const Size size = dimensions_for_area(area, ratio);
    EXPECT_EQ(size.width, width);
    EXPECT_EQ(size.height, height);
  };
  expect(1024 * 1024, 1.0, 1024, 1024);
  expect(1024 * 1024, 1920.0 / 1080, 1376, 768);
  expect(1024 * 1024, 3.0 / 4, 896, 1184);
  expect(384 * 384, 16.0 / 9, 512, 288);
  expect(384 * 384, 1.0, 384, 384);
}

TEST(DimensionsForArea, RoundsHalvesToEven) {
  EXPECT_EQ(dimensions_for_area(80.0 * 80.0, 1.0).width, 64);     // 2.5 → 2
  EXPECT_EQ(dimensions_for_area(112.0 * 112.0, 1.0).width, 128);  // 3.5 → 4
}

TEST(DimensionsForArea, RefusesAStripWithoutHeight) {
  try {
    dimensions_for_area(96 * 96, 1000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadRequest);
    EXPECT_EQ(error.param(), "image");
  }
}

}  // namespace
}  // namespace holdall::runtime::image
