#include "runtime/pipelines/model_manifest.h"

#include <gtest/gtest.h>

#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::pipelines {
namespace {

class ModelManifestTest : public ::testing::Test {
 protected:
  ModelManifest read(std::string_view text) {
    folder_.write("holdall.json", text);
    return read_model_manifest(folder_.path());
  }
  tests::TemporaryFolder folder_;
};

TEST_F(ModelManifestTest, HasTheReleasedDefaultsWithoutAFile) {
  const auto manifest = read_model_manifest(folder_.path());
  EXPECT_EQ(manifest.name, folder_.path().filename());
  EXPECT_EQ(manifest.vae_area, 1024 * 1024);
  EXPECT_EQ(manifest.condition_area, 384 * 384);
  EXPECT_EQ(manifest.default_steps, 40);
  EXPECT_EQ(manifest.default_true_cfg_scale, 4.0);
  EXPECT_TRUE(manifest.golden.empty());
}

TEST_F(ModelManifestTest, ReadsEveryField) {
  const auto manifest =
      read(R"({"name": "m", "vae_area": 4096, "condition_area": 1024, "default_steps": 4, "default_true_cfg_scale": 1,
    "max_pixels": 100000, "warm_up": [[64, 64], [96, 32]],
    "golden": {"prompt": "p", "negative_prompt": " ", "image": "in.png", "seed": 7, "steps": 2, "output": "out.png", "tolerance": 1.5}})");
  EXPECT_EQ(manifest.name, "m");
  EXPECT_EQ(manifest.vae_area, 4096);
  EXPECT_EQ(manifest.condition_area, 1024);
  EXPECT_EQ(manifest.default_steps, 4);
  EXPECT_EQ(manifest.default_true_cfg_scale, 1);
  EXPECT_EQ(manifest.max_pixels, 100000u);
  ASSERT_EQ(manifest.warm_up.size(), 2u);
  EXPECT_EQ(manifest.warm_up[1].width, 96);
  ASSERT_EQ(manifest.golden.size(), 1u);
  EXPECT_EQ(manifest.golden[0].image, folder_.path() / "in.png");
  EXPECT_EQ(manifest.golden[0].output, folder_.path() / "out.png");
  EXPECT_EQ(manifest.golden[0].negative_prompt, " ");
  EXPECT_EQ(manifest.golden[0].seed, 7u);
  EXPECT_EQ(manifest.golden[0].steps, 2);
  EXPECT_EQ(manifest.golden[0].tolerance, 1.5);
}

TEST_F(ModelManifestTest, TakesSeveralGoldenEdits) {
  const auto manifest = read(R"({"golden": [
    {"prompt": "p", "image": "a.png", "seed": 1, "output": "b.png", "tolerance": 1},
    {"prompt": "q", "image": "c.png", "seed": 2, "output": "d.png", "tolerance": 2}]})");
  ASSERT_EQ(manifest.golden.size(), 2u);
  EXPECT_EQ(manifest.golden[1].prompt, "q");
  EXPECT_EQ(manifest.golden[1].output, folder_.path() / "d.png");
  EXPECT_REFUSAL(read(R"({"golden": [{"prompt": "p", "image": "a", "seed": 1, "output": "b"}]})"), kBadModel,
                 "'/golden/0/tolerance' is missing");
}

TEST_F(ModelManifestTest, LetsOtherGoldenEditsReplaceItsOwn) {
  const std::string own = R"({"golden": {"prompt": "p", "image": "a", "seed": 1, "output": "b", "tolerance": 1}})";
  folder_.write("holdall.json", own);
  const auto manifest = read_model_manifest(
      folder_.path(),
      R"({"prompt": "other", "image": "model/in.png", "seed": 3, "output": "out.png", "tolerance": 0})");
  ASSERT_EQ(manifest.golden.size(), 1u);
  EXPECT_EQ(manifest.golden[0].prompt, "other");
  EXPECT_EQ(manifest.golden[0].image, "model/in.png");
  EXPECT_TRUE(read_model_manifest(folder_.path(), "[]").golden.empty());
  EXPECT_REFUSAL(read_model_manifest(folder_.path(), "{"), kBadModel, "--golden");
  EXPECT_REFUSAL(read_model_manifest(folder_.path(), "{}"), kBadModel, "--golden", "'/golden/output' is missing");
}

TEST_F(ModelManifestTest, NamesTheFieldThatIsWrong) {
  EXPECT_REFUSAL(read(R"({"vae_area": 255})"), kBadModel, "holdall.json",
                 "'/vae_area' is 255, needed 256 to 1000000000");
  EXPECT_REFUSAL(read(R"({"default_steps": 0})"), kBadModel, "'/default_steps' is 0");
  EXPECT_REFUSAL(read(R"({"default_steps": "4"})"), kBadModel, "'/default_steps' is \"4\"");
  EXPECT_REFUSAL(read(R"({"condition_area": 1e10})"), kBadModel, "'/condition_area' is 10000000000");
  EXPECT_REFUSAL(read(R"({"default_true_cfg_scale": -1})"), kBadModel, "'/default_true_cfg_scale'");
  EXPECT_REFUSAL(read(R"({"default_true_cfg_scale": 1000.5})"), kBadModel, "is 1000.5, needed 0 to 1000");
  EXPECT_REFUSAL(read(R"({"warm_up": [[64]]})"), kBadModel, "'/warm_up/0'");
  EXPECT_REFUSAL(read(R"({"warm_up": [[64, 64], [64, 99999999]]})"), kBadModel, "'/warm_up/1'", "99999999");
  EXPECT_REFUSAL(read(R"({"golden": {"prompt": "p"}})"), kBadModel, "'/golden/output' is missing");
  EXPECT_REFUSAL(read(R"({"golden": {"prompt": "p", "image": "a", "output": "b", "seed": -1, "tolerance": 0}})"),
                 kBadModel, "'/golden/seed'");
  EXPECT_REFUSAL(read(R"({"golden": {"prompt": "p", "image": "a", "output": "b", "seed": 1, "tolerance": 300}})"),
                 kBadModel, "'/golden/tolerance'");
}

}  // namespace
}  // namespace holdall::runtime::pipelines
