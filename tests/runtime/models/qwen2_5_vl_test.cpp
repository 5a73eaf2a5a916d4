// What needs no reference: geometry worked out by hand, and refusals. The checkpoint is made here, of zeros and ones.
#include "runtime/models/qwen2_5_vl.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/error.h"
#include "runtime/models/qwen2_5_vl_processor.h"
#include "runtime/models/qwen2_5_vl_text.h"
#include "runtime/models/qwen2_5_vl_vision.h"
#include "runtime/text/splitter.h"
#include "runtime/weights/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::models {
namespace {

using namespace qwen25vl;
using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

const char* const kPicture = "<|vision_start|><|image_pad|><|vision_end|>";

ProcessorConfig released_processor() {
  return {.patch = 14,
          .temporal_patch = 2,
          .merge = 2,
          .min_pixels = 3136,
          .max_pixels = 12845056,
          .mean = {0.5, 0.5, 0.5},
          .deviation = {0.5, 0.5, 0.5},
          .rescale = 1.0 / 255};
}

image::Size resized(int width, int height, const ProcessorConfig& config = released_processor()) {
  return smart_resize({width, height}, config);
}

void expect_error(const std::function<void()>& act, ErrorKind kind, const std::string& why) {
  try {
    act();
    FAIL() << "no error, needed: " << why;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(why));
  }
}

// Expected values: transformers' smart_resize in Python.
TEST(SmartResize, RoundsToTokens) {
  EXPECT_EQ(resized(384, 384).width, 392);
  EXPECT_EQ(resized(512, 288).width, 504);
  EXPECT_EQ(resized(512, 288).height, 280);
  EXPECT_EQ(resized(70, 98).width, 56);    // 2.5 tokens → 2
  EXPECT_EQ(resized(70, 98).height, 112);  // 3.5 tokens → 4
}

TEST(SmartResize, KeepsWithinTheAreas) {
  EXPECT_EQ(resized(1, 1).width, 56);  // up to min_pixels
  ProcessorConfig small = released_processor();
  small.max_pixels = 10000;
  EXPECT_EQ(resized(1000, 500, small).width, 140);
  EXPECT_EQ(resized(1000, 500, small).height, 56);
}

TEST(SmartResize, RefusesStrips) {
  EXPECT_NO_THROW(resized(2000, 10, {released_processor()}));
  expect_error([] { resized(2010, 10); }, ErrorKind::kBadRequest, "more than 200 times");
  expect_error([] { resized(0, 10); }, ErrorKind::kBadRequest, "0x10");
}

TEST(Patches, FollowTheMergeOrderAndRepeatTheFrame) {
  image::Picture picture{56, 56, std::vector<std::uint8_t>(56 * 56 * 3)};
  picture.rgb[(0 * 56 + 14) * 3] = 255;      // red, patch row 0, column 1
  picture.rgb[(14 * 56 + 3) * 3 + 1] = 255;  // green, row 1, column 0
  picture.rgb[(0 * 56 + 28) * 3 + 2] = 255;  // blue, row 0, column 2: the second square
  const Patches patches = to_patches(picture, released_processor());
  EXPECT_THAT(patches.grid, ElementsAre(1, 4, 4));
  ASSERT_EQ(patches.values.sizes(), (at::IntArrayRef{16, 3 * 2 * 14 * 14}));
  const at::Tensor lit = (patches.values > 0).nonzero();
  std::vector<std::array<std::int64_t, 2>> places;
  for (std::int64_t i = 0; i < lit.size(0); ++i)
    places.push_back({lit[i][0].item<std::int64_t>(), lit[i][1].item<std::int64_t>()});
  constexpr std::int64_t kFrame = 14 * 14;
  using Place = std::array<std::int64_t, 2>;
  EXPECT_THAT(places, ElementsAre(Place{1, 0}, Place{1, kFrame}, Place{2, 2 * kFrame + 3}, Place{2, 3 * kFrame + 3},
                                  Place{4, 4 * kFrame}, Place{4, 5 * kFrame}));
}

// 5×4 tokens in windows of 4×4: a whole one and a row of four.
TEST(WindowOrder, PutsTokensOfAWindowTogether) {
  VisionConfig config{};
  config.patch = 14;
  config.merge = 2;
  config.window = 112;
  WindowOrder order = window_order({{1, 10, 8}}, config);
  EXPECT_THAT(order.lengths, ElementsAre(64, 16));
  order = window_order({{1, 2, 12}, {1, 2, 2}}, config);  // 1×6, then another picture
  EXPECT_THAT(order.tokens, ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(order.lengths, ElementsAre(16, 8, 4));
  order = window_order({{1, 4, 10}}, config);  // 2×5
  EXPECT_THAT(order.tokens, ElementsAre(0, 1, 2, 3, 5, 6, 7, 8, 4, 9));
  EXPECT_THAT(order.lengths, ElementsAre(32, 8));
}

TEST(Positions, ArePlanarInPicturesAndGoOnBehindThem) {
  constexpr std::int64_t kImage = 9;
  const at::Tensor positions = mrope_positions({1, 1, 9, 9, 9, 9, 9, 9, 2, 2}, kImage, {{1, 4, 6}}, 2);
  EXPECT_TRUE(positions[0].equal(at::tensor({0, 1, 2, 2, 2, 2, 2, 2, 5, 6}, at::kLong)));
  EXPECT_TRUE(positions[1].equal(at::tensor({0, 1, 2, 2, 2, 3, 3, 3, 5, 6}, at::kLong)));
  EXPECT_TRUE(positions[2].equal(at::tensor({0, 1, 2, 3, 4, 2, 3, 4, 5, 6}, at::kLong)));
}

// A checkpoint of the smallest sizes.
class Qwen25VLTest : public testing::Test {
 protected:
  Qwen25VLTest() {
    Json vocabulary = Json::object();
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
      const int code = printable ? byte : next++;
      std::string key;
      if (code >= 0x80) key += static_cast<char>(0xc0 | code >> 6);
      key += static_cast<char>(code < 0x80 ? code : 0x80 | (code & 0x3f));
      vocabulary[key] = byte;
    }
    Json added = Json::array();
    for (const char* token : {"<|vision_start|>", "<|vision_end|>", "<|image_pad|>"}) {
      added.push_back({{"id", 256 + added.size()}, {"content", token}, {"normalized", false}, {"special", true}});
    }
    const Json split = {{"type", "Split"},
                        {"pattern", {{"Regex", text::Splitter::pattern()}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
    tokenizer_ = {{"added_tokens", added},
                  {"normalizer", {{"type", "NFC"}}},
                  {"pre_tokenizer",
                   {{"type", "Sequence"}, {"pretokenizers", {split, {{"type", "ByteLevel"}, {"use_regex", false}}}}}},
                  {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
    config_ = {{"model_type", "qwen2_5_vl"},
               {"image_token_id", 258},
               {"vocab_size", 259},
               {"hidden_size", 8},
               {"intermediate_size", 4},
               {"num_hidden_layers", 1},
               {"num_attention_heads", 2},
               {"num_key_value_heads", 1},
               {"rms_norm_eps", 1e-6},
               {"rope_theta", 1e6},
               {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {1, 1, 0}}}},
               {"vision_config",
                {{"depth", 1},
                 {"hidden_size", 8},
                 {"intermediate_size", 4},
                 {"num_heads", 2},
                 {"out_hidden_size", 8},
                 {"fullatt_block_indexes", Json::array()}}}};
    for (const auto& [name, shape] :
         std::map<std::string, std::vector<std::int64_t>>{{"lm_head.weight", {259, 8}},
                                                          {"model.embed_tokens.weight", {259, 8}},
                                                          {"model.norm.weight", {8}},
                                                          {"model.layers.0.input_layernorm.weight", {8}},
                                                          {"model.layers.0.post_attention_layernorm.weight", {8}},
                                                          {"model.layers.0.self_attn.q_proj.weight", {8, 8}},
                                                          {"model.layers.0.self_attn.q_proj.bias", {8}},
                                                          {"model.layers.0.self_attn.k_proj.weight", {4, 8}},
                                                          {"model.layers.0.self_attn.k_proj.bias", {4}},
                                                          {"model.layers.0.self_attn.v_proj.weight", {4, 8}},
                                                          {"model.layers.0.self_attn.v_proj.bias", {4}},
                                                          {"model.layers.0.self_attn.o_proj.weight", {8, 8}},
                                                          {"model.layers.0.mlp.gate_proj.weight", {4, 8}},
                                                          {"model.layers.0.mlp.up_proj.weight", {4, 8}},
                                                          {"model.layers.0.mlp.down_proj.weight", {8, 4}},
                                                          {"visual.patch_embed.proj.weight", {8, 3, 2, 14, 14}},
                                                          {"visual.merger.ln_q.weight", {8}},
                                                          {"visual.merger.mlp.0.weight", {32, 32}},
                                                          {"visual.merger.mlp.0.bias", {32}},
                                                          {"visual.merger.mlp.2.weight", {8, 32}},
                                                          {"visual.merger.mlp.2.bias", {8}},
                                                          {"visual.blocks.0.norm1.weight", {8}},
                                                          {"visual.blocks.0.norm2.weight", {8}},
                                                          {"visual.blocks.0.attn.qkv.weight", {24, 8}},
                                                          {"visual.blocks.0.attn.qkv.bias", {24}},
                                                          {"visual.blocks.0.attn.proj.weight", {8, 8}},
                                                          {"visual.blocks.0.attn.proj.bias", {8}},
                                                          {"visual.blocks.0.mlp.gate_proj.weight", {4, 8}},
                                                          {"visual.blocks.0.mlp.gate_proj.bias", {4}},
                                                          {"visual.blocks.0.mlp.up_proj.weight", {4, 8}},
                                                          {"visual.blocks.0.mlp.up_proj.bias", {4}},
                                                          {"visual.blocks.0.mlp.down_proj.weight", {8, 4}},
                                                          {"visual.blocks.0.mlp.down_proj.bias", {8}}}) {
      weights_[name] = at::ones(shape);
    }
  }

  Qwen25VL load() {
    folder_.write("tokenizer/tokenizer.json", tokenizer_.dump());
    folder_.write("text_encoder/config.json", config_.dump());
    if (!processor_.is_null()) folder_.write("processor/preprocessor_config.json", processor_.dump());
    weights::write_safetensors(folder_.path() / "text_encoder/model.safetensors", weights_);
    return Qwen25VL::load(folder_.path(), at::kCPU, at::kFloat);
  }
  void expect_bad_model(const std::string& why) {
    expect_error([&] { load(); }, ErrorKind::kBadModel, why);
  }

  tests::TemporaryFolder folder_;
  Json tokenizer_, config_, processor_ = Json::object();
  std::map<std::string, at::Tensor> weights_;
};

const image::Picture kGrey{60, 60, std::vector<std::uint8_t>(60 * 60 * 3, 100)};

TEST_F(Qwen25VLTest, ExpandsEachPicturesToken) {
  const Qwen25VL model = load();
  const VisionLanguageInput input = model.process(std::string("a") + kPicture + "b", {kGrey});
  EXPECT_THAT(input.input_ids, ElementsAre('a', 256, 258, 258, 258, 258, 257, 'b'));
  const at::Tensor hidden = model.encode(input);
  EXPECT_EQ(hidden.sizes(), (at::IntArrayRef{1, 8, 8}));
  EXPECT_TRUE(hidden.isfinite().all().item<bool>());
}

TEST_F(Qwen25VLTest, RefusesPictureTokensInThePrompt) {
  const Qwen25VL model = load();
  expect_error([&] { model.process("a <|image_pad|>", {}); }, ErrorKind::kBadRequest,
               "1 times '<|image_pad|>' for 0 pictures");
  expect_error([&] { model.process(std::string(kPicture) + "<|image_pad|>", {kGrey}); }, ErrorKind::kBadRequest,
               "2 times '<|image_pad|>' for 1 pictures");
}

TEST_F(Qwen25VLTest, SeesNothingWithoutAProcessor) {
  processor_ = nullptr;
  std::erase_if(weights_, [](const auto& item) { return item.first == "visual.merger.ln_q.weight"; });
  const Qwen25VL model = load();
  EXPECT_EQ(model.encode(model.process("text", {})).size(1), 4);
  expect_error([&] { model.process(kPicture, {kGrey}); }, ErrorKind::kBadRequest, "this model takes no picture");
}

TEST_F(Qwen25VLTest, NamesAMissingTensor) {
  weights_.erase("visual.blocks.0.attn.qkv.bias");
  expect_bad_model("visual.blocks.0.attn.qkv.bias");
}

TEST_F(Qwen25VLTest, RefusesATokenizerLargerThanTheTextEncoder) {
  config_["vocab_size"] = 100;
  expect_bad_model("the text encoder a vocabulary of 100");
}

TEST_F(Qwen25VLTest, NamesAnUnknownTensor) {
  weights_["model.layers.1.input_layernorm.weight"] = at::ones({8});
  expect_bad_model("unknown tensor 'model.layers.1.input_layernorm.weight'");
}

TEST_F(Qwen25VLTest, NamesATensorOfAnotherShape) {
  weights_["model.norm.weight"] = at::ones({9});
  expect_bad_model("model.norm.weight");
}

TEST_F(Qwen25VLTest, RefusesAnotherModel) {
  config_["model_type"] = "qwen3_vl";
  expect_bad_model("is 'qwen3_vl', not 'qwen2_5_vl'");
}

TEST_F(Qwen25VLTest, RefusesAnotherImageToken) {
  config_["image_token_id"] = 257;
  expect_bad_model("the tokenizer's '<|image_pad|>' is 258, the text encoder's image_token_id is 257");
}

TEST_F(Qwen25VLTest, RefusesWhatWouldComputeOtherwise) {
  const Json good = config_;
  const auto expect = [&](const char* pointer, const Json& value, const std::string& why) {
    config_ = good;
    config_[Json::json_pointer(pointer)] = value;
    expect_bad_model(why);
  };
  expect("/use_sliding_window", true, "/use_sliding_window");
  expect("/hidden_act", "gelu", "is 'gelu', not 'silu'");
  expect("/rope_scaling/type", "yarn", "is 'yarn', not 'default'");
  expect("/rope_scaling/mrope_section", Json({1, 1, 1}), "/rope_scaling/mrope_section");
  expect("/num_key_value_heads", 3, "/num_key_value_heads");
  expect("/num_attention_heads", 3, "/hidden_size");
  expect("/vision_config/out_hidden_size", 16, "/vision_config/out_hidden_size");
  expect("/vision_config/window_size", 13, "/vision_config/window_size");
  expect("/vision_config/hidden_act", "gelu", "/vision_config/hidden_act");
  expect("/rope_theta", -1, "/rope_theta");
  config_ = good;
  processor_ = {{"patch_size", 16}};
  expect_bad_model("patch sizes differ");
  processor_ = {{"resample", 1}};
  expect_bad_model("/resample");
  processor_ = {{"do_normalize", false}};
  expect_bad_model("/do_normalize");
  processor_ = {{"image_std", {0.5, 0.5}}};
  expect_bad_model("/image_std");
}

TEST_F(Qwen25VLTest, SaysWhichFileIsMissing) {
  load();
  std::filesystem::remove(folder_.path() / "text_encoder/config.json");
  expect_error([&] { Qwen25VL::load(folder_.path(), at::kCPU, at::kFloat); }, ErrorKind::kNotFound,
               "text_encoder/config.json");
}

}  // namespace
}  // namespace holdall::runtime::models
