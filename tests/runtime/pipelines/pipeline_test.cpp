// The pipeline on the random model, as its users and its enemies call it. What it computes is parity_test's matter.
#include "runtime/pipelines/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/pipelines/model_manifest.h"
#include "runtime/pipelines/warm_up.h"
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
  refuse([](Request& r) { r.size = image::Size{15, 64}; }, "size", "15");
  refuse([](Request& r) { r.size = image::Size{-64, 64}; }, "size", "-64");
  refuse([](Request& r) { r.size = image::Size{1 << 30, 64}; }, "size", "16384");
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

TEST_F(BrokenModelTest, NamesTheFirstMissingTensor) {
  replace("transformer/config.json", "\"num_layers\": 2", "\"num_layers\": 3");
  EXPECT_REFUSAL(load_on(kCpu, model()), kBadModel, "missing tensor 'transformer_blocks.2.");
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
