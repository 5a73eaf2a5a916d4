#include "runtime/weights/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/weights/safetensors.h"
#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::weights {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

const std::string kModule = "transformer_blocks.0.attn.to_q";

class LoraTest : public ::testing::Test {
 protected:
  Lora open(const Tensors& tensors, double scale = 1) const {
    write_safetensors(file(), tensors);
    return Lora::open(file(), scale);
  }
  // The file `tensors` with `metadata` in its header.
  void write_with_metadata(const Tensors& tensors, const std::string& metadata) const {
    write_safetensors(file(), tensors);
    const std::string bytes = tests::read_bytes(file());
    std::size_t size = 0;
    for (std::size_t i = 8; i-- > 0;) size = size << 8 | static_cast<unsigned char>(bytes[i]);
    auto header = nlohmann::json::parse(bytes.substr(8, size));
    header["__metadata__"] = {{"lora_adapter_metadata", metadata}};
    const std::string text = header.dump();
    std::string length;
    for (std::size_t i = 0; i < 8; ++i) length += static_cast<char>(text.size() >> (8 * i) & 0xff);
    folder_.write("lora.safetensors", length + text + bytes.substr(8 + size));
  }
  // What `lora` adds to the layer, (3, 2).
  static at::Tensor added(Lora& lora, at::ScalarType dtype = at::kFloat) {
    const at::Tensor weight = at::ones({3, 2}, dtype);
    lora.apply(kModule, weight);
    lora.require_applied();
    return weight.to(at::kFloat) - 1;
  }
  std::filesystem::path file() const { return folder_.path() / "lora.safetensors"; }

  const at::Tensor up_ = at::arange(6).to(at::kFloat).view({3, 2}), down_ = at::arange(4).to(at::kFloat).view({2, 2});
  const at::Tensor product_ = at::matmul(up_, down_);
  tests::TemporaryFolder folder_;
};

TEST_F(LoraTest, KnowsEverySpellingOfAKey) {
  const std::string spellings[][2] = {
      {kModule + ".lora_A.weight", kModule + ".lora_B.weight"},
      {"transformer." + kModule + ".lora_A.weight", "transformer." + kModule + ".lora_B.weight"},
      {"transformer." + kModule + ".lora_A.default.weight", "transformer." + kModule + ".lora_B.default.weight"},
      {"diffusion_model." + kModule + ".lora_down.weight", "diffusion_model." + kModule + ".lora_up.weight"},
      {"lora_unet_transformer_blocks_0_attn_to_q.lora_down.weight",
       "lora_unet_transformer_blocks_0_attn_to_q.lora_up.weight"}};
  for (const auto& [down, up] : spellings) {
    auto lora = open({{down, down_}, {up, up_}});
    EXPECT_TRUE(added(lora).equal(product_)) << down;
  }
}

TEST_F(LoraTest, MultipliesScaleAndAlphaOverRank) {
  const Tensors pair{{kModule + ".lora_down.weight", down_}, {kModule + ".lora_up.weight", up_}};
  auto half = open(pair, 0.5);
  EXPECT_TRUE(added(half).equal(product_ * 0.5));
  Tensors with_alpha = pair;
  with_alpha[kModule + ".alpha"] = at::full({}, 8.0F);
  auto alpha = open(with_alpha, 0.5);
  EXPECT_TRUE(added(alpha).equal(product_ * 2));  // 0.5 · 8 / 2
  write_with_metadata(pair, R"({"transformer.lora_alpha": 8, "transformer.r": 2})");
  auto metadata = Lora::open(file(), 1);
  EXPECT_TRUE(added(metadata).equal(product_ * 4));
  write_with_metadata(with_alpha, R"({"lora_alpha": 100, "r": 2})");
  auto both = Lora::open(file(), 1);
  EXPECT_TRUE(added(both).equal(product_ * 4));  // the key beside the layer wins
}

TEST_F(LoraTest, AddsInFloat32ToHalfWeights) {
  auto lora = open({{kModule + ".lora_A.weight", down_.to(at::kBFloat16)}, {kModule + ".lora_B.weight", up_}});
  EXPECT_TRUE(added(lora, at::kBFloat16).equal(product_));
}

TEST_F(LoraTest, ReadsEachLayersRankFromItsFactors) {
  const Tensors pair{{kModule + ".lora_A.weight", down_}, {kModule + ".lora_B.weight", up_}};
  write_with_metadata(pair, R"({"lora_alpha": 8, "r": 16, "rank_pattern": {"to_q": 2}})");
  auto patterned = Lora::open(file(), 1);
  EXPECT_TRUE(added(patterned).equal(product_ * 4));
  write_with_metadata(pair, R"({"lora_alpha": 3, "r": 2, "use_rslora": true})");
  auto by_root = Lora::open(file(), 1);
  EXPECT_TRUE(added(by_root).allclose(product_ * (3 / std::sqrt(2.0))));
}

TEST_F(LoraTest, RefusesMetadataThatChangesTheFactors) {
  const Tensors pair{{kModule + ".lora_A.weight", down_}, {kModule + ".lora_B.weight", up_}};
  for (const char* metadata : {R"({"alpha_pattern": {"to_q": 4}})", R"({"transformer.use_dora": true})",
                               R"({"lora_alpha": "8"})", "no JSON"}) {
    write_with_metadata(pair, metadata);
    EXPECT_REFUSAL(Lora::open(file(), 1), kBadModel, "lora.safetensors");
  }
  write_with_metadata(pair, R"({"alpha_pattern": {}, "use_dora": false, "use_rslora": null, "lora_alpha": 2, "r": 2})");
  EXPECT_NO_THROW(Lora::open(file(), 1));
}

TEST_F(LoraTest, TakesUnderscoresForDotsOnlyWhereTrainersDo) {
  auto lora = open({{"a_b.lora_A.weight", down_}, {"a_b.lora_B.weight", up_}});
  const at::Tensor weight = at::zeros({3, 2});
  lora.apply("a.b", weight);
  EXPECT_TRUE(weight.equal(at::zeros({3, 2})));
  EXPECT_REFUSAL(lora.require_applied(), kBadModel, "no linear layer 'a_b'");
}

TEST_F(LoraTest, NamesEveryKeyThatIsNone) {
  EXPECT_REFUSAL(open({{"a.lora_A.weight", down_},
                       {"b.lora_up.weight", up_},
                       {"c.dora_scale", up_},
                       {"text_encoder.weight", up_},
                       {"d.lora_A.weight", down_},
                       {"transformer.d.lora_A.weight", down_},
                       {"d.lora_B.weight", up_}}),
                 kBadModel, "'a' lacks its up half", "'b' lacks its down half", "unknown key 'c.dora_scale'",
                 "unknown key 'text_encoder.weight'", "'transformer.d.lora_A.weight' comes twice");
  EXPECT_REFUSAL(open({}), kBadModel, "no tensor");
}

TEST_F(LoraTest, NamesEveryLayerThatTheModelLacksOrThatDoesNotFit) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto lora = open({{"misfit.lora_A.weight", down_},
                    {"misfit.lora_B.weight", up_},
                    {"nan.lora_A.weight", at::full({2, 2}, nan)},
                    {"nan.lora_B.weight", up_},
                    {"huge.lora_A.weight", down_},
                    {"huge.lora_B.weight", up_},
                    {"huge.alpha", at::full({}, 3e38F)},
                    {"absent.lora_A.weight", down_},
                    {"absent.lora_B.weight", up_}});
  const at::Tensor misfit = at::zeros({3, 5}), other = at::zeros({3, 2});
  lora.apply("misfit", misfit);
  lora.apply("nan", other);
  lora.apply("huge", other);
  EXPECT_TRUE(misfit.equal(at::zeros({3, 5})) && other.equal(at::zeros({3, 2})));
  EXPECT_REFUSAL(lora.require_applied(), kBadModel, "4 faults", "'misfit' has shapes [3, 2] and [2, 2]", "[3, 5]",
                 "'nan' holds NaN", "'huge' makes its layer's weights infinite", "no linear layer 'absent'");
}

}  // namespace
}  // namespace holdall::runtime::weights
