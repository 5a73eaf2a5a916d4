// Qwen2.5-VL against transformers, on the cases of tests/data/parity/make_vl.py.
#include "runtime/models/qwen2_5_vl.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "runtime/image/codec.h"
#include "runtime/models/qwen2_5_vl_text.h"
#include "runtime/text/tokenizer.h"
#include "runtime/weights/safetensors.h"

namespace holdall::runtime::models {
namespace {

namespace fs = std::filesystem;
using weights::Safetensors;

const fs::path kFixtures = HOLDALL_VL;
constexpr std::int64_t kMerge = 2;

std::string read(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  EXPECT_TRUE(stream.good()) << file;
  return bytes.str();
}

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  return ((found.to(at::kDouble) - wide).norm() / wide.norm()).item<double>();
}

struct Case {
  explicit Case(const std::string& name)
      : folder(kFixtures / name), expected(Safetensors::open(folder / "expected.safetensors")) {
    for (int i = 0; fs::exists(folder / ("input" + std::to_string(i) + ".png")); ++i) {
      const std::string png = read(folder / ("input" + std::to_string(i) + ".png"));
      pictures.push_back(image::decode(std::as_bytes(std::span(png)), 1 << 24));
    }
  }
  VisionLanguageInput process(const Qwen25VL& model) const {
    return model.process(read(folder / "prompt.txt"), pictures);
  }

  fs::path folder;
  Safetensors expected;
  std::vector<image::Picture> pictures;
};

class Qwen25VLParity : public testing::TestWithParam<const char*> {};

TEST_P(Qwen25VLParity, ProcessesToTheSameBits) {
  const Case test(GetParam());
  const Qwen25VL model = Qwen25VL::load(kFixtures / "model", at::kCPU, at::kFloat);
  const VisionLanguageInput input = test.process(model);
  EXPECT_TRUE(at::tensor(input.input_ids).equal(test.expected.view("input_ids")[0]));
  ASSERT_EQ(input.image_grids.empty(), test.pictures.empty());
  if (test.pictures.empty()) return;
  const at::Tensor grids = test.expected.view("image_grid_thw");
  ASSERT_EQ(static_cast<std::int64_t>(input.image_grids.size()), grids.size(0));
  for (std::size_t i = 0; i < input.image_grids.size(); ++i) {
    EXPECT_TRUE(
        at::tensor(at::ArrayRef<std::int64_t>(input.image_grids[i])).equal(grids[static_cast<std::int64_t>(i)]));
  }
  EXPECT_TRUE(input.pixel_values.equal(test.expected.view("pixel_values")))
      << (input.pixel_values - test.expected.view("pixel_values")).abs().max().item<double>();
  const std::int64_t image_token = text::Tokenizer::load(kFixtures / "model/tokenizer").id_of("<|image_pad|>");
  EXPECT_TRUE(qwen25vl::mrope_positions(input.input_ids, image_token, input.image_grids, kMerge)
                  .equal(test.expected.view("positions")));
}

TEST_P(Qwen25VLParity, EncodesInFloat32) {
  const Case test(GetParam());
  for (const char* style : {"model", "other"}) {
    const Qwen25VL model = Qwen25VL::load(kFixtures / style, at::kCPU, at::kFloat);
    const at::Tensor hidden = model.encode(test.process(model));
    EXPECT_EQ(hidden.sizes(), test.expected.view("hidden").sizes());
    const double error = relative_error(hidden, test.expected.view("hidden"));
    std::ostringstream text;
    text << error;
    RecordProperty(std::string("relative_error_") + style, text.str());
    EXPECT_LE(error, 1e-5) << style;
  }
}

// The reference's own rounding error is the measure.
TEST_P(Qwen25VLParity, EncodesInBfloat16AsWellAsTheReference) {
  const Case test(GetParam());
  const Qwen25VL model = Qwen25VL::load(kFixtures / "model", at::kCPU, at::kBFloat16);
  const at::Tensor hidden = model.encode(test.process(model));
  EXPECT_EQ(hidden.scalar_type(), at::kBFloat16);
  const at::Tensor exact = test.expected.view("hidden");
  EXPECT_LE(relative_error(hidden, exact), 1.5 * relative_error(test.expected.view("hidden_bf16"), exact));
}

INSTANTIATE_TEST_SUITE_P(, Qwen25VLParity,
                         testing::Values("text_only", "one_token", "smallest", "odd", "whole_windows", "many_windows",
                                         "narrow", "tall", "two", "three"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace holdall::runtime::models
