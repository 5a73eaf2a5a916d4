// The pipelines against the reference (tests/data/parity/make.py). Prints what it measures, case by case and tensor by
// tensor: `./dev test edit_parity_test -V`.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

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
// By model, so that each is loaded once. make.py has all of them and no more.
constexpr const char* kCases[] = {"one_image",    "two_images",  "no_guidance", "areas",     "plus_inpaint",
                                  "sharded",      "2511",        "2511_alone",  "2508",      "2508_size",
                                  "edit_inpaint", "t2i",         "img2img",     "inpaint",   "inpaint_whole",
                                  "lightning",    "lightning_8", "lora_kohya",  "lora_peft", "lora_several"};
constexpr const char* kBfloat16Cases[] = {"two_images", "no_guidance", "2511_alone", "inpaint_whole"};

image::Picture read_picture(const fs::path& file) {
  return image::read_picture(file, 1 << 24);
}

weights::Config read_case(const fs::path& folder) {
  return weights::Config::read(folder / "request.json");
}

Request read_request(const fs::path& folder) {
  const auto config = read_case(folder);
  Request request;
  if (config.count("/images") > 0)
    for (const auto& file : config.get<std::vector<std::string>>("/images"))
      request.images.push_back(read_picture(folder / file));
  if (const auto mask = config.find<std::string>("/mask")) request.mask = read_picture(folder / *mask);
  request.strength = config.find<double>("/strength");
  request.prompt = config.get<std::string>("/prompt");
  request.negative_prompt = config.find<std::string>("/negative_prompt");
  request.seed = static_cast<std::uint64_t>(config.get<std::int64_t>("/seed"));
  request.n = static_cast<int>(config.get<std::int64_t>("/n", 1));
  request.steps = static_cast<int>(config.get<std::int64_t>("/steps"));
  request.true_cfg_scale = config.get<double>("/true_cfg_scale");
  request.vae_area = config.find<double>("/vae_area");
  request.condition_area = config.find<double>("/condition_area");
  if (const auto size = config.find<std::vector<std::int64_t>>("/size"))
    request.size = image::Size{static_cast<int>(size->at(0)), static_cast<int>(size->at(1))};
  return request;
}

// The models of the fixtures in one precision, each loaded when it is first asked for.
class Models {
 public:
  explicit Models(const char* dtype) : dtype_(dtype) {}
  Pipeline& of(const fs::path& folder) {
    const auto config = read_case(folder);
    const auto model = kFixtures / "models" / config.get<std::string>("/model");
    LoadOptions options{"cpu", dtype_};
    for (std::size_t i = 0; i < config.count("/loras"); ++i)
      options.loras.push_back(
          {kFixtures / "loras" / (config.get<std::vector<std::string>>("/loras")[i] + ".safetensors"),
           config.get<std::vector<double>>("/lora_scales")[i]});
    auto& pipeline = loaded_[options.loras.empty() ? model : folder];
    if (!pipeline) pipeline = load(model, read_model_manifest(model), options);
    return *pipeline;
  }

 private:
  const char* dtype_;
  std::map<fs::path, std::unique_ptr<Pipeline>> loaded_;
};

struct Outcome {
  Result result;
  tests::TemporaryFolder folder;
  std::unique_ptr<Safetensors> tensors;
};

void run_case(Pipeline& pipeline, const fs::path& folder, Outcome& outcome) {
  Request request = read_request(folder);
  request.dump = outcome.folder.path() / "dump.safetensors";
  outcome.result = pipeline.run(request);
  outcome.tensors = std::make_unique<Safetensors>(Safetensors::open(request.dump));
}

struct Difference {
  double absolute, relative;  // the largest, and over the largest value
};

Difference difference(const Tensor& ours, const Tensor& theirs) {
  const Tensor a = ours.to(at::kDouble), b = theirs.to(at::kDouble);
  const double largest = (a - b).abs().max().item<double>();
  return {largest, largest / std::max(b.abs().max().item<double>(), 1e-300)};
}

double relative_rms(const Tensor& ours, const Tensor& theirs) {
  const Tensor a = ours.to(at::kDouble), b = theirs.to(at::kDouble);
  return std::sqrt(((a - b).pow(2).mean() / b.pow(2).mean()).item<double>());
}

// What is not computed in float32 must be the same, all else within 1e-5 of the largest value, after many steps, too:
// at 1e-4 an exact GELU in place of the tanh one would go unnoticed.
double gate(const std::string& tensor) {
  if (tensor.ends_with("input_ids") || tensor == "noise" || tensor == "mask") return 0;
  return tensor == "sigmas" || tensor == "timesteps" ? 1e-6 : 1e-5;
}

void print_header() {
  std::printf("%-14s %-22s %-11s %-11s %-8s %s\n", "case", "tensor", "max abs", "max rel", "gate", "same bits");
}

void compare_pictures(const std::string& name, const fs::path& folder, const Result& ours) {
  for (std::size_t i = 0; i < ours.pictures.size(); ++i) {
    const auto& picture = ours.pictures[i];
    const auto expected = read_picture(folder / ("expected" + std::to_string(i) + ".png"));
    ASSERT_EQ(picture.rgb.size(), expected.rgb.size());
    ASSERT_EQ(picture.width, expected.width);
    int largest = 0;
    for (std::size_t j = 0; j < expected.rgb.size(); ++j)
      largest = std::max(largest, std::abs(int{picture.rgb[j]} - int{expected.rgb[j]}));
    std::printf("%-14s %-22s %-11d %-11s %-8d %s\n", name.c_str(), ("PNG " + std::to_string(i) + ", LSB").c_str(),
                largest, "", 1, largest == 0 ? "yes" : "no");
    EXPECT_LE(largest, 1);
  }
}

// One case in float32, against what the reference has computed.
void compare(Pipeline& pipeline, const fs::path& folder) {
  const std::string name = folder.filename();
  SCOPED_TRACE(name);
  Outcome ours;
  run_case(pipeline, folder, ours);
  const auto theirs = Safetensors::open(folder / "expected.safetensors");
  std::size_t compared = 0;
  for (const auto& tensor : theirs.names()) {
    ASSERT_TRUE(ours.tensors->has(tensor)) << "the dump lacks " << tensor;
    const Tensor a = ours.tensors->view(tensor), b = theirs.view(tensor);
    ASSERT_EQ(a.sizes(), b.sizes()) << tensor;
    ASSERT_EQ(a.scalar_type(), b.scalar_type()) << tensor;
    const auto [absolute, relative] = difference(a, b);
    std::printf("%-14s %-22s %-11.3g %-11.3g %-8.0e %s\n", name.c_str(), tensor.c_str(), absolute, relative,
                gate(tensor), a.equal(b) ? "yes" : "no");
    EXPECT_LE(relative, gate(tensor)) << tensor;
    ++compared;
  }
  EXPECT_EQ(compared, ours.tensors->names().size()) << "the reference's tensors are not all of ours";
  EXPECT_GE(compared, 7u + static_cast<std::size_t>(ours.result.steps));
  compare_pictures(name, folder, ours.result);
  // Between two neighbours a rounding is right or wrong.
  const Tensor rounded = (ours.tensors->view("image") * 255).round().to(at::kByte).permute({1, 2, 0}).contiguous();
  const auto& rgb = ours.result.pictures.at(0).rgb;
  EXPECT_TRUE(std::equal(rgb.begin(), rgb.end(), rounded.const_data_ptr<std::uint8_t>(),
                         rounded.const_data_ptr<std::uint8_t>() + rounded.numel()))
      << "a value is not rounded to the nearest, halves to even";
}

TEST(Parity, ComparesEveryCase) {
  std::set<std::string> made, known(std::begin(kCases), std::end(kCases));
  for (const auto& entry : fs::directory_iterator(kFixtures))
    if (fs::exists(entry.path() / "request.json")) made.insert(entry.path().filename());
  known.insert("several");
  EXPECT_EQ(made, known);
}

TEST(Parity, Float32IsTheReference) {
  Models models("float32");
  print_header();
  for (const std::string name : kCases) compare(models.of(kFixtures / name), kFixtures / name);
}

// The reference draws each picture's noise from a generator of its own, too, but computes them as one batch.
TEST(Parity, SeveralPicturesAreTheReferences) {
  const auto folder = kFixtures / "several";
  const auto ours = Models("float32").of(folder).run(read_request(folder));
  ASSERT_EQ(ours.pictures.size(), 3u);
  print_header();
  compare_pictures("several", folder, ours);
}

TEST(Parity, TheStarterModelIsTheReference) {
  const auto manifest = read_model_manifest(kStarter);
  const auto pipeline = load(kStarter, manifest, {"cpu", "float32"});
  print_header();
  ASSERT_GE(manifest.golden.size(), 4u);
  for (std::size_t i = 0; i < manifest.golden.size(); ++i) compare(*pipeline, kStarterFixtures / std::to_string(i));
}

// In bfloat16 two honest computations differ, so ours may err by half more than the reference's own does against
// float32.
TEST(Parity, Bfloat16IsNoWorseThanTheReference) {
  Models models("bfloat16");
  std::printf("%-14s %-22s %-11s %s\n", "case", "tensor", "our error", "reference's error");
  for (const std::string name : kBfloat16Cases) {
    Outcome ours;
    run_case(models.of(kFixtures / name), kFixtures / name, ours);
    const auto exact = Safetensors::open(kFixtures / name / "expected.safetensors");
    const auto theirs = Safetensors::open(kFixtures / name / "expected_bf16.safetensors");
    for (const char* tensor : {"input_ids", "noise", "sigmas"})
      EXPECT_TRUE(ours.tensors->view(tensor).equal(theirs.view(tensor))) << name << ": " << tensor;
    for (const auto& tensor : theirs.names()) {
      if (!tensor.ends_with("embeds") && !tensor.ends_with("latents") && tensor != "latents.0" && tensor != "image")
        continue;
      const double our_error = relative_rms(ours.tensors->view(tensor), exact.view(tensor));
      const double their_error = relative_rms(theirs.view(tensor), exact.view(tensor));
      std::printf("%-14s %-22s %-11.3g %.3g\n", name.c_str(), tensor.c_str(), our_error, their_error);
      EXPECT_LE(our_error, 1.5 * their_error) << name << ": " << tensor;
    }
  }
}

}  // namespace
}  // namespace holdall::runtime::pipelines
