// The pipeline on the random model, as its users and its enemies call it. What it computes is parity_test's matter.
#include "runtime/pipelines/pipeline.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/pipelines/model_manifest.h"
#include "runtime/pipelines/warm_up.h"
#include "runtime/weights/safetensors.h"
#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::pipelines {
namespace {

namespace fs = std::filesystem;

const fs::path kRandom = HOLDALL_RANDOM_MODEL;
const LoadOptions kCpu{"cpu", "float32"};

std::unique_ptr<Pipeline> load_on(const LoadOptions& where, const fs::path& model) {
  return load(model, read_model_manifest(model), where);
}

image::Picture gradient(int width, int height) {
  image::Picture picture{width, height, {}};
  for (int i = 0; i < width * height; ++i)
    for (int c = 0; c < 3; ++c) picture.rgb.push_back(static_cast<std::uint8_t>(i * (c + 1) % 256));
  return picture;
}

image::Picture grey(int width, int height, std::uint8_t value) {
  return {width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3), value)};
}

// A mask that keeps the left half.
image::Picture half_black(int width, int height) {
  image::Picture mask = grey(width, height, 255);
  for (int i = 0; i < width * height; ++i)
    if (i % width < width / 2) std::fill_n(&mask.rgb[static_cast<std::size_t>(i) * 3], 3, std::uint8_t{0});
  return mask;
}

std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "x ";
  return text;
}

Request small_request() {
  Request request;
  request.images = {gradient(40, 60)};
  request.prompt = "make it blue";
  request.steps = 2;
  request.vae_area = 64 * 64;
  request.condition_area = 64 * 64;
  return request;
}

class PipelineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { pipeline_ = load_on(kCpu, kRandom); }
  static void TearDownTestSuite() { pipeline_.reset(); }
  static inline std::unique_ptr<Pipeline> pipeline_;
  tests::TemporaryFolder folder_;
};

TEST_F(PipelineTest, GivesTheSamePictureForTheSameSeed) {
  auto request = small_request();
  const auto first = pipeline_->run(request).pictures.at(0), again = pipeline_->run(request).pictures.at(0);
  EXPECT_EQ(first.rgb, again.rgb);
  request.seed = 1;
  EXPECT_NE(pipeline_->run(request).pictures.at(0).rgb, first.rgb);
}

TEST_F(PipelineTest, SeesPromptAndPictures) {
  const auto first = pipeline_->run(small_request()).pictures.at(0);
  auto other_prompt = small_request(), other_picture = small_request(), more_pictures = small_request();
  other_prompt.prompt = "make it red";
  for (auto& value : other_picture.images[0].rgb) value ^= 0x80;
  more_pictures.images.insert(more_pictures.images.begin(), gradient(50, 50));
  EXPECT_NE(pipeline_->run(other_prompt).pictures.at(0).rgb, first.rgb);
  EXPECT_NE(pipeline_->run(other_picture).pictures.at(0).rgb, first.rgb);
  EXPECT_NE(pipeline_->run(more_pictures).pictures.at(0).rgb, first.rgb);
}

TEST_F(PipelineTest, GuidesOnlyWithANegativePromptAndAScaleOverOne) {
  const auto plain = pipeline_->run(small_request()).pictures.at(0);
  auto scale_alone = small_request(), guided = small_request(), prompt_alone = small_request();
  scale_alone.true_cfg_scale = 4;
  prompt_alone.true_cfg_scale = 1;
  prompt_alone.negative_prompt = "";
  guided.true_cfg_scale = 4;
  guided.negative_prompt = "";
  EXPECT_EQ(pipeline_->run(scale_alone).pictures.at(0).rgb, plain.rgb);
  EXPECT_EQ(pipeline_->run(prompt_alone).pictures.at(0).rgb, plain.rgb);
  EXPECT_NE(pipeline_->run(guided).pictures.at(0).rgb, plain.rgb);
}

TEST_F(PipelineTest, TakesItsSizeFromTheLastPictureOrTheRequest) {
  auto request = small_request();
  request.images.push_back(gradient(90, 30));
  const auto automatic = pipeline_->run(request).pictures.at(0);
  EXPECT_EQ(automatic.width, 96);  // √(4096·3) = 110.9 and 36.95, to whole 32s
  EXPECT_EQ(automatic.height, 32);
  request.size = image::Size{70, 50};
  const auto asked = pipeline_->run(request).pictures.at(0);
  EXPECT_EQ(asked.width, 64);
  EXPECT_EQ(asked.height, 48);
  EXPECT_EQ(asked.rgb.size(), 64u * 48 * 3);
}

TEST_F(PipelineTest, RunsASingleStep) {
  auto request = small_request();
  request.steps = 1;
  EXPECT_EQ(pipeline_->run(request).steps, 1);
}

TEST_F(PipelineTest, ShowsAPictureWhileItIsMadeWithoutChangingIt) {
  auto request = small_request();
  request.steps = 4;
  const auto plain = pipeline_->run(request).pictures.at(0);
  std::vector<image::Picture> shown;
  std::vector<int> after;
  int steps = 0;
  request.progress = [&](int step, int) { return steps = step, true; };
  request.preview = [&](const image::Picture& picture) { shown.push_back(picture), after.push_back(steps); };
  request.previews = 1;
  EXPECT_EQ(pipeline_->run(request).pictures.at(0).rgb, plain.rgb);
  EXPECT_EQ(after, std::vector{2});
  request.previews = 9;  // more than there are steps
  pipeline_->run(request);
  EXPECT_EQ(after, (std::vector{2, 1, 2, 3}));
  EXPECT_EQ(shown.back().width, plain.width);
  // What is foreseen comes closer to what comes out.
  EXPECT_LT(mean_difference(shown[3], plain), mean_difference(shown[1], plain));
}

TEST_F(PipelineTest, ShowsWhatAMaskKeepsAsItIs) {
  auto request = small_request();
  request.mask = half_black(40, 60);
  request.size = image::Size{64, 64};
  request.strength = 1.0;
  image::Picture shown;
  request.previews = 1;
  request.preview = [&](const image::Picture& picture) { shown = picture; };
  const auto result = pipeline_->run(request).pictures.at(0);
  double kept = 0, painted = 0;
  for (std::size_t i = 0; i < result.rgb.size(); ++i) {
    const auto x = i / 3 % 64;  // the border, which the autoencoder blends, is left out
    if (x < 16) kept += std::abs(result.rgb[i] - shown.rgb[i]);
    if (x >= 48) painted += std::abs(result.rgb[i] - shown.rgb[i]);
  }
  EXPECT_LT(kept, painted / 2);
}

TEST_F(PipelineTest, CountsWhatTheModelsRead) {
  auto request = small_request();
  const auto one = pipeline_->run(request).tokens;
  EXPECT_EQ(one.pictures, (4096.0 / 16 / 16));  // vae_area
  request.prompt += " and red";
  const auto longer = pipeline_->run(request).tokens;
  EXPECT_GT(longer.text, one.text);
  EXPECT_LT(longer.text, one.text + 10);
  request.images.push_back(gradient(60, 60));
  EXPECT_EQ(pipeline_->run(request).tokens.pictures, 2 * one.pictures);
  request.n = 2;
  EXPECT_EQ(pipeline_->run(request).tokens.pictures, 2 * one.pictures);
}

TEST_F(PipelineTest, TakesTheManifestsDefaults) {
  auto request = small_request();
  request.steps.reset();
  EXPECT_EQ(pipeline_->run(request).steps, 4);
}

TEST_F(PipelineTest, StopsAtTheNextStepWhenCancelled) {
  auto request = small_request();
  request.steps = 5;
  request.dump = folder_.path() / "dump.safetensors";
  int calls = 0;
  request.progress = [&](int step, int total) {
    EXPECT_EQ(step, ++calls);
    EXPECT_EQ(total, 5);
    return step < 2;
  };
  EXPECT_REFUSAL(pipeline_->run(request), kCancelled, "cancelled");
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(PipelineTest, RefusesRequestsThatCannotBeDone) {
  const auto refuse = [&](const auto& change, const char* param, const char* text) {
    auto request = small_request();
    change(request);
    try {
      pipeline_->run(request);
      ADD_FAILURE() << "accepted: " << param;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadRequest) << error.what();
      EXPECT_EQ(error.param(), param) << error.what();
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  };
  refuse([](Request& r) { r.images.clear(); }, "image", "at least one");
  refuse([](Request& r) { r.images[0] = {0, 0, {}}; }, "image", "empty");
  refuse([](Request& r) { r.images[0] = gradient(4000, 1); }, "image", "");
  refuse([](Request& r) { r.steps = 0; }, "steps", "0 steps");
  refuse([](Request& r) { r.steps = 1001; }, "steps", "1001");
  refuse([](Request& r) { r.true_cfg_scale = std::nan(""); }, "true_cfg_scale", "0 to 1000");
  refuse([](Request& r) { r.vae_area = 0; }, "vae_area", "256");
  refuse([](Request& r) { r.condition_area = 1e30; }, "condition_area", "1000000000");
  refuse([](Request& r) { r.prompt = " \n"; }, "prompt", "empty");
  refuse([](Request& r) { r.prompt = words(10'000); }, "prompt", "beyond the model's 4096");
  refuse([](Request& r) { r.n = 0; }, "n", "0 pictures");
  refuse([](Request& r) { r.n = 65; }, "n", "1 to 64");
  refuse([](Request& r) { r.n = 2, r.dump = "x"; }, "n", "one picture only");
  refuse([](Request& r) { r.guidance_scale = 3; }, "guidance_scale", "not guidance-distilled");
  refuse([](Request& r) { r.strength = 0.5; }, "strength", "needs a mask");
  refuse([](Request& r) { r.mask = half_black(40, 61); }, "mask", "40 × 61");
  refuse([](Request& r) { r.mask = grey(40, 60, 0); }, "mask", "selects nothing");
  refuse([](Request& r) { r.mask = grey(40, 60, 255); }, "mask", "keeps nothing");
  for (const double strength : {0.0, -1.0, 1.5, std::nan("")})
    refuse([&](Request& r) { r.mask = half_black(40, 60), r.strength = strength; }, "strength", "at most 1");
  refuse([](Request& r) { r.mask = half_black(40, 60), r.strength = 1e-20; }, "strength", "none of 2 steps");
  refuse([](Request& r) { r.anchor = Anchor::kTop; }, "anchor", "size of the canvas");
  refuse([](Request& r) { r.anchor = Anchor::kTop, r.size = image::Size{64, 48}; }, "size", "a canvas that is larger");
  refuse(
      [](Request& r) {
        r.images[0] = gradient(64, 64), r.anchor = Anchor::kTop, r.size = image::Size{79, 79};
      },
      "size", "64 × 64 in whole tokens");
  refuse(
      [](Request& r) {
        r.mask = half_black(40, 60), r.anchor = Anchor::kTop, r.size = image::Size{64, 64};
      },
      "mask", "leave out one");
  refuse([](Request& r) { r.size = image::Size{15, 64}; }, "size", "15");
  refuse([](Request& r) { r.size = image::Size{-64, 64}; }, "size", "-64");
  refuse([](Request& r) { r.size = image::Size{1 << 30, 64}; }, "size", "16384");
}

TEST_F(PipelineTest, MakesEachOfSeveralPicturesAsItIsAlone) {
  auto request = small_request();
  request.seed = 5;
  request.n = 3;
  request.mask = half_black(40, 60);
  request.strength = 0.5;
  std::vector<int> steps;
  request.progress = [&](int step, int total) {
    EXPECT_EQ(total, 3);  // half of two steps each
    steps.push_back(step);
    return true;
  };
  const auto together = pipeline_->run(request);
  EXPECT_EQ(steps, (std::vector<int>{1, 2, 3}));
  ASSERT_EQ(together.pictures.size(), 3u);
  request.n = 1;
  request.progress = nullptr;
  for (std::size_t i = 0; i < 3; ++i) {
    request.seed = 5 + i;
    EXPECT_EQ(pipeline_->run(request).pictures.at(0).rgb, together.pictures[i].rgb) << i;
  }
  EXPECT_NE(together.pictures[0].rgb, together.pictures[1].rgb);
}

TEST_F(PipelineTest, LeavesTheSourceWhereTheStrengthIsLow) {
  auto request = small_request();
  request.images = {gradient(64, 64)};
  request.mask = half_black(64, 64);
  request.steps = 10;
  const auto at = [&](double strength) {
    request.strength = strength;
    const auto result = pipeline_->run(request);
    EXPECT_EQ(result.steps, static_cast<int>(std::lround(10 * strength)));
    return result.pictures.at(0);
  };
  const auto little = at(0.1), more = at(0.2), all = at(1);
  EXPECT_LT(mean_difference(little, more), mean_difference(little, all));
}

TEST_F(PipelineTest, PaintsAroundAPictureAsWithAPaddedOneAndAMask) {
  auto request = small_request();
  request.size = image::Size{112, 96};
  auto by_hand = request;
  request.anchor = Anchor::kTopRight;
  const auto painted = pipeline_->run(request).pictures.at(0);
  EXPECT_EQ(painted.width, 112);
  EXPECT_EQ(painted.height, 96);

  // 40 × 60 in the top right corner: whole latent pixels of 8 are kept in columns 72 to 111 and rows 0 to 55.
  image::Picture canvas = grey(112, 96, 0), mask = grey(112, 96, 255);
  for (int y = 0; y < 96; ++y)
    for (int x = 0; x < 112; ++x) {
      const auto to = static_cast<std::size_t>(y * 112 + x) * 3;
      const auto from = static_cast<std::size_t>(std::min(y, 59) * 40 + std::max(x - 72, 0)) * 3;
      std::copy_n(&request.images[0].rgb[from], 3, &canvas.rgb[to]);
      if (x >= 72 && y < 56) std::fill_n(&mask.rgb[to], 3, std::uint8_t{0});
    }
  by_hand.images = {canvas};
  by_hand.mask = mask;
  by_hand.strength = 1;
  EXPECT_EQ(pipeline_->run(by_hand).pictures.at(0).rgb, painted.rgb);
}

TEST_F(PipelineTest, TakesAPictureOfOnePixel) {
  auto request = small_request();
  request.images = {gradient(1, 1)};
  EXPECT_EQ(pipeline_->run(request).pictures.at(0).width, 64);
}

TEST_F(PipelineTest, PassesItsGoldenEditAndItsWarmUp) {
  const auto manifest = read_model_manifest(kRandom);
  ASSERT_EQ(manifest.golden.size(), 1u);
  EXPECT_NO_THROW(warm_up(*pipeline_, manifest));
  EXPECT_NO_THROW(check_golden_edits(*pipeline_, manifest));
}

TEST_F(PipelineTest, FailsAGoldenEditThatComesOutOtherwise) {
  auto manifest = read_model_manifest(kRandom);
  manifest.golden.at(0).seed += 1;
  EXPECT_REFUSAL(check_golden_edits(*pipeline_, manifest), kBadModel, "golden edit differs", "at most 2");
}

TEST_F(PipelineTest, NamesAGoldenPictureThatCannotBeUsed) {
  auto manifest = read_model_manifest(kRandom);
  auto& golden = manifest.golden.at(0);
  for (auto* picture : {&golden.image, &golden.output}) {
    const auto good = *picture;
    *picture = folder_.path() / "absent.png";
    EXPECT_REFUSAL(check_golden_edits(*pipeline_, manifest), kNotFound, "absent.png");
    *picture = folder_.path();  // can be opened, not read
    EXPECT_REFUSAL(check_golden_edits(*pipeline_, manifest), kStorage, "cannot read", folder_.path().c_str());
    *picture = folder_.write("text.png", "no picture");
    EXPECT_REFUSAL(check_golden_edits(*pipeline_, manifest), kBadModel, "text.png", "neither PNG");
    *picture = good;
  }
}

TEST_F(PipelineTest, BlamesTheModelForAWarmUpThatItRefuses) {
  ModelManifest manifest;
  manifest.warm_up = {{8, 64}};
  EXPECT_REFUSAL(warm_up(*pipeline_, manifest), kBadModel, "warm-up of 8x64");
}

TEST(MeanDifference, IsInfiniteForOtherSizes) {
  EXPECT_EQ(mean_difference(gradient(2, 2), gradient(2, 2)), 0);
  EXPECT_TRUE(std::isinf(mean_difference(gradient(2, 2), gradient(4, 1))));
  auto other = gradient(2, 2);
  other.rgb[0] = static_cast<std::uint8_t>(other.rgb[0] + 12);
  EXPECT_EQ(mean_difference(gradient(2, 2), other), 1);
}

// The random model under another class's name: the weights are the same.
class FamilyTest : public ::testing::Test {
 protected:
  std::unique_ptr<Pipeline> load_as(const std::string& name) {
    const fs::path model = folder_.path() / name;
    fs::copy(kRandom, model, fs::copy_options::recursive);
    std::string index = tests::read_bytes(model / "model_index.json");
    const std::string old = "QwenImageEditPlusPipeline";
    index.replace(index.find(old), old.size(), name);
    folder_.write(fs::path(name) / "model_index.json", index);
    if (name == "QwenImagePipeline") fs::remove_all(model / "processor");
    return load_on(kCpu, model);
  }
  // What runs for `request`, or the field that it is refused for.
  static std::string chosen(Pipeline& pipeline, const Request& request) {
    try {
      return pipeline.run(request).pipeline;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadRequest) << error.what();
      return error.param();
    }
  }
  tests::TemporaryFolder folder_;
};

TEST_F(FamilyTest, ChoosesFromTextToImageByTheRequest) {
  const auto pipeline = load_as("QwenImagePipeline");
  EXPECT_FALSE(pipeline->edits());
  auto request = small_request();
  request.condition_area.reset();
  request.strength = 0.5;
  EXPECT_EQ(chosen(*pipeline, request), "QwenImageImg2ImgPipeline");
  request.strength.reset();
  request.steps = 5;
  EXPECT_EQ(pipeline->run(request).steps, 3) << "the default strength is 0.6";
  request.mask = half_black(40, 60);
  EXPECT_EQ(chosen(*pipeline, request), "QwenImageInpaintPipeline");
  request.images.clear();
  EXPECT_EQ(chosen(*pipeline, request), "mask");
  request.mask.reset();
  EXPECT_EQ(chosen(*pipeline, request), "QwenImagePipeline");
  request.strength = 0.5;
  EXPECT_EQ(chosen(*pipeline, request), "strength");
  request.strength.reset();
  request.condition_area = 64 * 64;
  EXPECT_EQ(chosen(*pipeline, request), "condition_area");
  request.condition_area.reset();
  request.prompt = words(600);
  EXPECT_REFUSAL(pipeline->run(request), kBadRequest, "this model reads 512: shorten it");
  request.images = {gradient(40, 60), gradient(40, 60)};
  EXPECT_EQ(chosen(*pipeline, request), "image");
  request.images.clear();
  request.anchor = Anchor::kCenter;
  request.size = image::Size{64, 64};
  EXPECT_EQ(chosen(*pipeline, request), "image");
}

TEST_F(FamilyTest, ChoosesFromTheFirstEditModelByTheRequest) {
  const auto pipeline = load_as("QwenImageEditPipeline");
  auto request = small_request();
  EXPECT_EQ(chosen(*pipeline, request), "condition_area");
  request.condition_area.reset();
  EXPECT_EQ(chosen(*pipeline, request), "QwenImageEditPipeline");
  request.strength = 0.5;
  EXPECT_EQ(chosen(*pipeline, request), "strength");
  request.mask = half_black(40, 60);
  EXPECT_EQ(chosen(*pipeline, request), "QwenImageEditInpaintPipeline");
  request.images.push_back(gradient(8, 8));
  EXPECT_EQ(chosen(*pipeline, request), "image");
}

TEST_F(FamilyTest, WarmsUpAndProvesAModelFromTextToImage) {
  const auto pipeline = load_as("QwenImagePipeline");
  auto manifest = read_model_manifest(kRandom);
  EXPECT_NO_THROW(warm_up(*pipeline, manifest));
  manifest.golden.at(0).image.clear();
  EXPECT_REFUSAL(check_golden_edits(*pipeline, manifest), kBadModel, "golden edit differs");
}

TEST_F(PipelineTest, MergesLoraFiles) {
  const tests::TemporaryFolder folder;
  const std::string module = "transformer_blocks.0.attn.to_q";
  const auto weights = weights::Safetensors::open(kRandom / "transformer/diffusion_pytorch_model.safetensors");
  const auto shape = weights.view(module + ".weight").sizes().vec();
  const auto write = [&](const std::string& name, const std::string& layer, float size) {
    weights::write_safetensors(folder.path() / name,
                               {{"transformer." + layer + ".lora_A.weight", at::full({1, shape[1]}, size)},
                                {"transformer." + layer + ".lora_B.weight", at::full({shape[0], 1}, 1.0F)}});
    return folder.path() / name;
  };
  const auto edited = [&](std::vector<LoraFile> loras) {
    auto options = kCpu;
    options.loras = std::move(loras);
    return load_on(options, kRandom)->run(small_request()).pictures.at(0).rgb;
  };
  const auto plain = edited({});
  const auto file = write("whole", module, 0.5F), half = write("half", module, 0.25F);
  const auto changed = edited({{file, 1}});
  EXPECT_NE(changed, plain);
  EXPECT_EQ(edited({{file, 0}}), plain);
  EXPECT_EQ(edited({{half, 2}}), changed);
  EXPECT_EQ(edited({{half, 1}, {half, 1}}), changed);
  EXPECT_EQ(edited({{file, 1}, {file, -1}}), plain);
  EXPECT_REFUSAL(edited({{write("astray", "transformer_blocks.7.attn.to_q", 1), 1}}), kBadModel, "astray",
                 "no linear layer 'transformer_blocks.7.attn.to_q'");
}

// A copy of the random model with one JSON field replaced.
class BrokenModelTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::copy(kRandom, model(), fs::copy_options::recursive); }
  fs::path model() const { return folder_.path() / "model"; }
  void replace(const fs::path& file, const std::string& from, const std::string& to) {
    std::string text = tests::read_bytes(model() / file);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << file << " lacks " << from;
    folder_.write("model" / file, text.replace(at, from.size(), to));
  }
  tests::TemporaryFolder folder_;
};

TEST_F(BrokenModelTest, NamesAnUnknownPipelineAndWhatIsSupported) {
  replace("model_index.json", "QwenImageEditPlusPipeline", "FluxPipeline");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "'FluxPipeline'", "QwenImageEditPlusPipeline", "model_index.json");
}

TEST_F(BrokenModelTest, NamesAComponentOfAnotherClass) {
  replace("model_index.json", "AutoencoderKLQwenImage", "AutoencoderKL");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "'/vae/1'", "'AutoencoderKL'", "'AutoencoderKLQwenImage'");
}

TEST_F(BrokenModelTest, NamesAConfigurationOfAnotherClass) {
  replace("transformer/config.json", "QwenImageTransformer2DModel", "FluxTransformer2DModel");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "transformer/config.json", "'FluxTransformer2DModel'");
}

TEST_F(BrokenModelTest, NamesEveryMissingTensor) {
  replace("transformer/config.json", "\"num_layers\": 2", "\"num_layers\": 3");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "missing tensor 'transformer_blocks.2.img_mod.1.weight'",
                 "missing tensor 'transformer_blocks.2.attn.norm_added_k.weight'");
}

TEST_F(BrokenModelTest, NamesTensorsThatNothingUses) {
  replace("transformer/config.json", "\"num_layers\": 2", "\"num_layers\": 1");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "unknown tensor 'transformer_blocks.1.");
}

TEST_F(BrokenModelTest, NamesAMisshapenTensor) {
  replace("transformer/config.json", "\"joint_attention_dim\": 16", "\"joint_attention_dim\": 32");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "'txt_norm.weight'", "[16]", "[32]");
}

TEST_F(BrokenModelTest, RefusesFlagsOfOtherReleases) {
  replace("transformer/config.json", "\"use_layer3d_rope\": false", "\"use_layer3d_rope\": true");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "'/use_layer3d_rope' is true", "not supported");
}

TEST_F(BrokenModelTest, RefusesRopeAxesThatDoNotFit) {
  replace("transformer/config.json", "\"attention_head_dim\": 16", "\"attention_head_dim\": 48");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "'/axes_dims_rope'", "48");
}

TEST_F(BrokenModelTest, RefusesATruncatedWeightFile) {
  const auto file = model() / "vae/diffusion_pytorch_model.safetensors";
  fs::resize_file(file, fs::file_size(file) / 2);
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "vae/diffusion_pytorch_model.safetensors");
}

TEST_F(BrokenModelTest, NamesAMissingComponent) {
  fs::remove_all(model() / "vae");
  EXPECT_REFUSAL(load_on(kCpu, model()), kNotFound, "vae/config.json");
}

TEST(Load, TellsAMissingFolderFromAWrongOne) {
  const tests::TemporaryFolder folder;
  EXPECT_REFUSAL(load_on(kCpu, folder.path() / "absent"), kNotFound, "absent");
  EXPECT_REFUSAL(load_on(kCpu, folder.path()), kNotFound, "model_index.json");
}

TEST(Load, RefusesUnknownDevicesAndTypes) {
  EXPECT_REFUSAL(load_on({"tpu", ""}, kRandom), kBadRequest, "'tpu'", "cuda:N");
  EXPECT_REFUSAL(load_on({"cuda:x", ""}, kRandom), kBadRequest, "'cuda:x'", "a number");
  EXPECT_REFUSAL(load_on({"cuda:999", ""}, kRandom), kBadRequest, "'cuda:999'");
  EXPECT_REFUSAL(load_on({"cpu", "int8"}, kRandom), kBadRequest, "'int8'", "bfloat16");
}

}  // namespace
}  // namespace holdall::runtime::pipelines
