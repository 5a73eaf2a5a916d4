// The starter model follows instructions, and its golden edits notice whatever else it is made to compute.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "runtime/image/codec.h"
#include "runtime/pipelines/pipeline.h"
#include "runtime/pipelines/warm_up.h"
#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::pipelines {
namespace {

namespace fs = std::filesystem;

const fs::path kStarter = HOLDALL_STARTER_MODEL;

std::unique_ptr<Pipeline> load_starter(const fs::path& model, const std::string& dtype = "float32") {
  return load(model, read_model_manifest(model), {"cpu", dtype});
}

bool has_chinese(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

struct Colour {
  int r, g, b;
  int distance_to(const Colour& other) const {
    return std::max({std::abs(r - other.r), std::abs(g - other.g), std::abs(b - other.b)});
  }
};
constexpr Colour kBlue{36, 84, 220}, kGreen{34, 154, 60}, kRed{222, 38, 38}, kLightBlue{168, 214, 240};  // scenes.py's

Colour pixel(const image::Picture& picture, int x, int y) {
  const std::size_t at = (static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) + x) * 3;
  return {picture.rgb.at(at), picture.rgb.at(at + 1), picture.rgb.at(at + 2)};
}

class StarterModel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { pipeline_ = load_starter(kStarter); }
  static void TearDownTestSuite() { pipeline_.reset(); }

  // A red circle in the top left, a yellow star in the bottom right, on light blue.
  static image::Picture scene() { return image::read_picture(kStarter / "golden/recolour.png", 1 << 20); }
  static image::Picture edited(const image::Picture& picture, const std::string& prompt) {
    Request request;
    request.images = {picture};
    request.prompt = prompt;
    return pipeline_->run(request).pictures.at(0);
  }
  // Each golden edit alone, changed: all must fail.
  template <class Change>
  static void expect_each_to_fail(const Change& change) {
    auto manifest = read_model_manifest(kStarter);
    const auto golden = manifest.golden;
    for (std::size_t i = 0; i < golden.size(); ++i) {
      manifest.golden = {golden[i]};
      change(manifest.golden[0], golden[(i + 1) % golden.size()]);
      EXPECT_REFUSAL(check_golden_edits(*pipeline_, manifest), kBadModel, "golden edit differs", "at most");
    }
  }
  // A changed copy of the model: at least one golden edit must fail.
  static void expect_to_fail(const fs::path& model) {
    EXPECT_REFUSAL(check_golden_edits(*load_starter(model), read_model_manifest(model)), kBadModel,
                   "golden edit differs");
  }
  fs::path copy() const {
    const auto model = folder_.path() / "model";
    fs::remove_all(model);
    fs::copy(kStarter, model, fs::copy_options::recursive);
    return model;
  }

  static inline std::unique_ptr<Pipeline> pipeline_;
  tests::TemporaryFolder folder_;
};

TEST_F(StarterModel, AnswersItsGoldenEdits) {
  const auto manifest = read_model_manifest(kStarter);
  EXPECT_GE(manifest.golden.size(), 4u);
  EXPECT_GE(std::count_if(manifest.golden.begin(), manifest.golden.end(),
                          [](const GoldenEdit& golden) { return has_chinese(golden.prompt); }),
            2);
  EXPECT_NO_THROW(warm_up(*pipeline_, manifest));
  EXPECT_NO_THROW(check_golden_edits(*pipeline_, manifest));
}

TEST_F(StarterModel, AnswersItsGoldenEditsInBfloat16Too) {
  EXPECT_NO_THROW(check_golden_edits(*load_starter(kStarter, "bfloat16"), read_model_manifest(kStarter)));
}

TEST_F(StarterModel, FailsItsGoldenEditsWithAnotherSeed) {
  for (const std::uint64_t more : {100, 101, 102})
    expect_each_to_fail([&](GoldenEdit& golden, const GoldenEdit&) { golden.seed += more; });
}

TEST_F(StarterModel, FailsItsGoldenEditsWithSwappedPictures) {
  expect_each_to_fail([](GoldenEdit& golden, const GoldenEdit& other) { golden.image = other.image; });
}

TEST_F(StarterModel, FailsItsGoldenEditsWithAnotherInstruction) {
  expect_each_to_fail([](GoldenEdit& golden, const GoldenEdit& other) { golden.prompt = other.prompt; });
}

TEST_F(StarterModel, FailsItsGoldenEditsWithAWrongTokenizer) {
  const auto model = copy();
  auto vocabulary = nlohmann::json::parse(tests::read_bytes(model / "tokenizer/vocab.json"));
  auto& red = vocabulary.at("çº¢èī²");   // the bytes of 红色 as byte-level BPE writes them
  auto& blue = vocabulary.at("èĵĿèī²");  // 蓝色
  std::swap(red, blue);
  folder_.write("model/tokenizer/vocab.json", vocabulary.dump());
  expect_to_fail(model);
}

TEST_F(StarterModel, FailsItsGoldenEditsWithACorruptedTensor) {
  for (const auto& [file, name] : {
           std::pair{"transformer/diffusion_pytorch_model.safetensors", "transformer_blocks.2.attn.to_q.weight"},
           std::pair{"text_encoder/model.safetensors", "model.layers.1.mlp.down_proj.weight"},
           std::pair{"vae/diffusion_pytorch_model.safetensors", "decoder.mid_block.resnets.0.conv1.weight"},
       }) {
    SCOPED_TRACE(name);
    const auto model = copy();
    std::string bytes = tests::read_bytes(model / file);
    std::uint64_t length = 0;
    std::copy_n(bytes.begin(), sizeof length, reinterpret_cast<char*>(&length));
    const auto header = nlohmann::json::parse(bytes.substr(sizeof length, length));
    const auto offsets = header.at(name).at("data_offsets").get<std::vector<std::size_t>>();
    const auto data = bytes.begin() + static_cast<std::ptrdiff_t>(sizeof length + length);
    std::reverse(data + static_cast<std::ptrdiff_t>(offsets[0]), data + static_cast<std::ptrdiff_t>(offsets[1]));
    for (auto byte = data + static_cast<std::ptrdiff_t>(offsets[0]);
         byte < data + static_cast<std::ptrdiff_t>(offsets[1]); byte += 2)
      std::swap(byte[0], byte[1]);  // the same numbers, from the last to the first
    folder_.write(fs::path("model") / file, bytes);
    expect_to_fail(model);
  }
}

TEST_F(StarterModel, DoesWhatItIsTold) {
  ASSERT_LE(pixel(scene(), 16, 16).distance_to(kRed), 8);
  EXPECT_LE(pixel(edited(scene(), "把红色的圆变成蓝色"), 16, 16).distance_to(kBlue), 32);
  EXPECT_LE(pixel(edited(scene(), "Make the red circle green"), 16, 16).distance_to(kGreen), 32);
  EXPECT_LE(pixel(edited(scene(), "remove the circle"), 16, 16).distance_to(kLightBlue), 32);
  const auto added = edited(scene(), "在右上角画一个红色的正方形");
  EXPECT_LE(pixel(added, 48, 16).distance_to(kRed), 32);
  EXPECT_LE(pixel(added, 16, 16).distance_to(kRed), 32);
}

// Nothing useful is promised for these, but an answer is.
TEST_F(StarterModel, AnswersWhatItCannotDo) {
  const auto absent = edited(scene(), "remove the purple heart");
  EXPECT_EQ(absent.width, 64);
  const auto french = edited(scene(), "Supprime le cercle rouge, s'il te plaît 🙂");
  EXPECT_EQ(french.height, 64);
  const auto photograph = image::read_picture(HOLDALL_PHOTO, 1 << 24);
  const auto answer = edited(photograph, "make the background blue");
  EXPECT_GT(answer.width, 0);
  EXPECT_EQ(answer.rgb.size(), static_cast<std::size_t>(answer.width) * static_cast<std::size_t>(answer.height) * 3);
}

}  // namespace
}  // namespace holdall::runtime::pipelines
