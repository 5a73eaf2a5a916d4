// The edit pipeline against the reference (tests/data/parity/make.py). Prints what it measures: `ctest -L parity -V`.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "runtime/image/codec.h"
#include "runtime/pipelines/pipeline.h"
#include "runtime/weights/config.h"
#include "runtime/weights/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace holdall::runtime::pipelines {
namespace {

using at::Tensor;
using weights::Safetensors;

namespace fs = std::filesystem;

const fs::path kFixtures = HOLDALL_PARITY, kStarterFixtures = HOLDALL_PARITY_STARTER, kStarter = HOLDALL_STARTER_MODEL;
const char* const kCases[] = {"one_image", "two_images", "no_guidance", "areas"};
const char* const kBfloat16Cases[] = {"two_images", "no_guidance"};

image::Picture read_picture(const std::filesystem::path& file) {
  return image::read_picture(file, 1 << 24);
}

Request read_request(const fs::path& folder) {
  const auto config = weights::Config::read(folder / "request.json");
  Request request;
  for (const auto& file : config.get<std::vector<std::string>>("/images"))
    request.images.push_back(read_picture(folder / file));
  request.prompt = config.get<std::string>("/prompt");
  request.negative_prompt = config.find<std::string>("/negative_prompt");
  request.seed = static_cast<std::uint64_t>(config.get<std::int64_t>("/seed"));
  request.steps = static_cast<int>(config.get<std::int64_t>("/steps"));
  request.true_cfg_scale = config.get<double>("/true_cfg_scale");
  request.vae_area = config.find<double>("/vae_area");
  request.condition_area = config.find<double>("/condition_area");
  if (const auto size = config.find<std::vector<std::int64_t>>("/size"))
    request.size = image::Size{static_cast<int>(size->at(0)), static_cast<int>(size->at(1))};
  return request;
}

struct Outcome {
  image::Picture picture;
  tests::TemporaryFolder folder;
  std::unique_ptr<Safetensors> tensors;
};

void run_case(Pipeline& pipeline, const fs::path& folder, Outcome& outcome) {
  Request request = read_request(folder);
  request.dump = outcome.folder.path() / "dump.safetensors";
  outcome.picture = pipeline.run(request).picture;
  outcome.tensors = std::make_unique<Safetensors>(Safetensors::open(request.dump));
}

double largest_relative(const Tensor& ours, const Tensor& theirs) {
  const Tensor a = ours.to(at::kDouble), b = theirs.to(at::kDouble);
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-300)).item<double>();
}

double relative_rms(const Tensor& ours, const Tensor& theirs) {
  const Tensor a = ours.to(at::kDouble), b = theirs.to(at::kDouble);
  return std::sqrt(((a - b).pow(2).mean() / b.pow(2).mean()).item<double>());
}

// The gates: what is computed once in float32 or not at all must be the same; a network's output within 1e-5; the sum
// of many steps within 1e-4.
double gate(const std::string& tensor) {
  if (tensor.ends_with("input_ids") || tensor == "noise") return 0;
  if (tensor == "sigmas" || tensor == "timesteps") return 1e-6;
  if (tensor.ends_with("prompt_embeds") || tensor == "image_latents") return 1e-5;
  return 1e-4;
}

// One edit in float32, against what the reference has computed.
void compare(Pipeline& pipeline, const fs::path& folder) {
  const std::string name = folder.filename();
  SCOPED_TRACE(name);
  Outcome ours;
  run_case(pipeline, folder, ours);
  const auto theirs = Safetensors::open(folder / "expected.safetensors");
  std::size_t compared = 0;
  for (const auto& tensor : theirs.names()) {
    if (tensor == "pixel_values" || tensor == "image_grid_thw") continue;  // the text encoder's own test has them
    ASSERT_TRUE(ours.tensors->has(tensor)) << "the dump lacks " << tensor;
    const Tensor a = ours.tensors->view(tensor), b = theirs.view(tensor);
    ASSERT_EQ(a.sizes(), b.sizes()) << tensor;
    ASSERT_EQ(a.scalar_type(), b.scalar_type()) << tensor;
    const double difference = largest_relative(a, b);
    std::printf("%-12s %-24s %-12.3g %-10.0e %s\n", name.c_str(), tensor.c_str(), difference, gate(tensor),
                a.equal(b) ? "yes" : "no");
    EXPECT_LE(difference, gate(tensor)) << tensor;
    ++compared;
  }
  EXPECT_GE(compared, 8u + static_cast<std::size_t>(read_request(folder).steps.value()));

  const auto expected = read_picture(folder / "expected.png");
  ASSERT_EQ(ours.picture.rgb.size(), expected.rgb.size());
  ASSERT_EQ(ours.picture.width, expected.width);
  int largest = 0;
  for (std::size_t i = 0; i < expected.rgb.size(); ++i)
    largest = std::max(largest, std::abs(int{ours.picture.rgb[i]} - int{expected.rgb[i]}));
  std::printf("%-12s %-24s %-12d %-10d\n", name.c_str(), "PNG, grey levels", largest, 1);
  EXPECT_LE(largest, 1);
}

void print_header() {
  std::printf("%-12s %-24s %-12s %-10s %s\n", "case", "tensor", "max rel", "gate", "same bits");
}

TEST(EditPlusParity, Float32IsTheReference) {
  const auto pipeline = load(kFixtures / "model", read_model_manifest(kFixtures / "model"), {"cpu", "float32"});
  print_header();
  for (const std::string name : kCases) compare(*pipeline, kFixtures / name);
}

TEST(EditPlusParity, TheStarterModelIsTheReference) {
  const auto manifest = read_model_manifest(kStarter);
  const auto pipeline = load(kStarter, manifest, {"cpu", "float32"});
  print_header();
  ASSERT_GE(manifest.golden.size(), 4u);
  for (std::size_t i = 0; i < manifest.golden.size(); ++i) compare(*pipeline, kStarterFixtures / std::to_string(i));
}

// In bfloat16 two honest computations differ, so ours may err by half more than the reference's own does against
// float32.
TEST(EditPlusParity, Bfloat16IsNoWorseThanTheReference) {
  const auto pipeline = load(kFixtures / "model", read_model_manifest(kFixtures / "model"), {"cpu", "bfloat16"});
  std::printf("%-12s %-24s %-12s %s\n", "case", "tensor", "our error", "reference's error");
  for (const std::string name : kBfloat16Cases) {
    Outcome ours;
    run_case(*pipeline, kFixtures / name, ours);
    const auto exact = Safetensors::open(kFixtures / name / "expected.safetensors");
    const auto theirs = Safetensors::open(kFixtures / name / "expected_bf16.safetensors");
    EXPECT_TRUE(ours.tensors->view("input_ids").equal(theirs.view("input_ids"))) << name;
    EXPECT_TRUE(ours.tensors->view("noise").equal(theirs.view("noise"))) << name;
    EXPECT_TRUE(ours.tensors->view("sigmas").equal(theirs.view("sigmas"))) << name;
    for (const char* tensor : {"prompt_embeds", "image_latents", "latents.0", "latents", "image"}) {
      const double our_error = relative_rms(ours.tensors->view(tensor), exact.view(tensor));
      const double their_error = relative_rms(theirs.view(tensor), exact.view(tensor));
      std::printf("%-12s %-24s %-12.3g %.3g\n", name.c_str(), tensor, our_error, their_error);
      EXPECT_LE(our_error, 1.5 * their_error) << name << ": " << tensor;
    }
  }
}

}  // namespace
}  // namespace holdall::runtime::pipelines
