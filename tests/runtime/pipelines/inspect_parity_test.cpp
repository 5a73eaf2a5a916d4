// The released models without their weights (tests/data/parity/make_released.py): every tensor of the reference's
// classes is one of ours, and what `inspect` says of them is what the reference counts.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/models/transformer_qwen_image.h"
#include "runtime/pipelines/inspect.h"
#include "runtime/weights/config.h"
#include "tests/runtime/checks.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::pipelines {
namespace {

namespace fs = std::filesystem;

const fs::path kReleased = HOLDALL_RELEASED;
constexpr const char* kReleases[] = {"2508", "2509", "2511", "image"};

weights::Config read_expected() {
  return weights::Config::read(kReleased / "facts.json");
}

TEST(Inspect, NamesTheRelease) {
  EXPECT_EQ(inspect(kReleased / "2508", {}).release, "Qwen-Image-Edit (2508)");
  EXPECT_EQ(inspect(kReleased / "2509", {}).release, "Qwen-Image-Edit-2509");
  EXPECT_EQ(inspect(kReleased / "2511", {}).release, "Qwen-Image-Edit-2511");
  EXPECT_EQ(inspect(kReleased / "image", {}).release, "Qwen-Image or Qwen-Image-2512");
}

TEST(Inspect, CountsTheParametersOfTheReleasedModels) {
  const auto expected = read_expected();
  for (const std::string release : kReleases) {
    const Facts facts = inspect(kReleased / release, {});
    ASSERT_EQ(facts.components.size(), 3u);
    for (const auto& component : facts.components) {
      EXPECT_EQ(component.parameters, static_cast<std::uint64_t>(expected.get<std::int64_t>(
                                          "/releases/" + release + "/parameters/" + component.name)))
          << release << ' ' << component.name;
      EXPECT_EQ(component.elements.begin()->first, "BF16");
      EXPECT_EQ(component.elements.size(), 1u);
    }
    // The head of the language model is not kept, nor are the autoencoder's convolutions over time.
    EXPECT_EQ(facts.components[0].kept, facts.components[0].parameters);
    EXPECT_LE(facts.components[1].kept, facts.components[1].parameters - 152064 * 3584);
    EXPECT_LT(facts.components[2].kept, facts.components[2].parameters);
  }
}

TEST(Inspect, CountsTheOperationsThatTheReferenceCounts) {
  const auto expected = read_expected();
  for (const std::string release : kReleases) {
    const auto transformer =
        models::TransformerQwenImage::load(kReleased / release / "transformer", at::kMeta, at::kBFloat16);
    EXPECT_EQ(transformer.operations({expected.get<std::int64_t>("/tokens/text"), 2 * 64 * 64}),
              expected.get<double>("/releases/" + release + "/operations"))
        << release;
  }
}

TEST(Inspect, CountsTheTokensOfAnEdit) {
  const Facts facts = inspect(kReleased / "2509", {{1024, 1024}, {640, 480}});
  ASSERT_EQ(facts.costs.size(), 2u);
  EXPECT_EQ(facts.costs[0].image_tokens, 2 * 64 * 64);
  EXPECT_EQ(facts.costs[1].image_tokens, 40 * 30 + 74 * 56) << "the reference keeps the model's area: 1184 x 896";
  EXPECT_GT(facts.costs[0].text_tokens, 14 * 14) << "of 384 x 384 pixels, in squares of 28";
  EXPECT_EQ(inspect(kReleased / "image", {{1024, 1024}}).costs[0].image_tokens, 64 * 64);
}

TEST(Inspect, ReadsHeadersOnly) {
  inspect(kReleased / "2509", {});
  struct rusage usage {};
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &usage), 0);
  EXPECT_LT(usage.ru_maxrss, 2 << 20) << "KiB, for a checkpoint of 58 GB";
}

TEST(Inspect, NamesEveryTensorThatIsMissing) {
  tests::TemporaryFolder folder;
  for (const auto& entry : fs::directory_iterator(kReleased / "2509/transformer"))
    fs::create_symlink(entry.path(), folder.path() / entry.path().filename());
  auto config = tests::read_bytes(folder.path() / "config.json");
  fs::remove(folder.path() / "config.json");
  const auto layers = config.find("\"num_layers\": 60");
  ASSERT_NE(layers, std::string::npos);
  std::ofstream(folder.path() / "config.json") << config.replace(layers, 16, "\"num_layers\": 61");
  EXPECT_REFUSAL(models::TransformerQwenImage::load(folder.path(), at::kMeta, at::kBFloat16), kBadModel, "32 faults",
                 "missing tensor 'transformer_blocks.60.attn.to_q.weight', needed [3072, 3072]");
}

}  // namespace
}  // namespace holdall::runtime::pipelines
