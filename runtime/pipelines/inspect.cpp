#include "runtime/pipelines/inspect.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <limits>
#include <utility>

#include "runtime/pipelines/parts.h"
#include "runtime/pipelines/pipeline.h"
#include "runtime/pipelines/prompt.h"
#include "runtime/weights/checkpoint.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::pipelines {

namespace {

using image::Size;

constexpr const char* kPrompt = "Replace the background with a quiet beach at sunset, and keep the person as they are.";

Component component_of(const std::filesystem::path& model, const std::string& name,
                       const std::function<bool(const std::string&)>& ignored) {
  Component component;
  component.name = name;
  component.class_name = weights::Config::read(model / "model_index.json").get<std::string>("/" + name + "/1");
  const auto checkpoint = weights::Checkpoint::open(model / name);
  component.elements = checkpoint.elements([](const std::string&) { return true; });
  for (const auto& [dtype, count] : component.elements) component.parameters += count;
  for (const auto& [dtype, count] : checkpoint.elements([&](const std::string& tensor) { return !ignored(tensor); }))
    component.kept += count;
  return component;
}

std::string release_of(const std::string& class_name, bool zero_cond_t) {
  if (class_name.starts_with("QwenImageEditPlus")) return zero_cond_t ? "Qwen-Image-Edit-2511" : "Qwen-Image-Edit-2509";
  return class_name.starts_with("QwenImageEdit") ? "Qwen-Image-Edit (2508)" : "Qwen-Image or Qwen-Image-2512";
}

image::Picture grey(const Size& size) {
  const auto values = static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) * 3;
  return {size.width, size.height, std::vector<std::uint8_t>(values, 128)};
}

// Of a prompt of usual length and one square picture where the model edits.
std::int64_t text_tokens(const Parts& parts, const Facts& facts) {
  const PromptTemplate& form = facts.edits ? kInstruct : kDescribe;
  std::string text = form.before;
  std::vector<image::Picture> seen;
  if (facts.edits) {
    const bool apart = facts.class_name == "QwenImageEditPlusPipeline";  // sees a smaller one than the autoencoder
    text += apart ? std::string("Picture 1: ") + kPictureMark : kPictureMark;
    seen.push_back(
        grey(image::dimensions_for_area(apart ? parts.manifest.condition_area : parts.manifest.vae_area, 1)));
  }
  const auto input = parts.text_encoder.process(text + kPrompt + "<|im_end|>\n<|im_start|>assistant\n", seen);
  return static_cast<std::int64_t>(input.input_ids.size()) - form.dropped;
}

Cost cost_of(const Parts& parts, const Facts& facts, const Size& size, std::int64_t text) {
  const Size whole = parts.whole_tokens(size),
             reference = parts.whole_tokens(
                 image::dimensions_for_area(parts.manifest.vae_area, static_cast<double>(whole.width) / whole.height));
  const auto pixels = [](const Size& of) { return std::int64_t{of.width} * of.height; };
  const std::int64_t tokens = parts.grid(whole).tokens() + (facts.edits ? parts.grid(reference).tokens() : 0);
  // The peak is the autoencoder's: with the released widths, tests/runtime/pipelines/full_size.sh shows it.
  const auto memory = [&](std::size_t value) {
    return static_cast<double>(facts.kept() * value) +
           parts.vae.workspace(std::max(pixels(whole), facts.edits ? pixels(reference) : 0), value);
  };
  return {whole, text, tokens, parts.transformer.operations({text, tokens}), memory(4), memory(2)};
}

// What a file of the kernel says as its first number behind `key`, or infinity.
double number_in(const char* file, const std::string& key) {
  std::ifstream stream(file);
  std::string word;
  double value = 0;
  while (!key.empty() && stream >> word && word != key) {
  }
  return stream >> value ? value : std::numeric_limits<double>::infinity();
}

double free_memory(at::Device device) {
  if (device.is_cuda()) return static_cast<double>(at::accelerator::getMemoryInfo(device.index()).first);
  const double group = number_in("/sys/fs/cgroup/memory.max", "") - number_in("/sys/fs/cgroup/memory.current", "");
  const double all = 1024 * number_in("/proc/meminfo", "MemAvailable:");
  return group > 0 ? std::min(all, group) : all;
}

double rate_of(const Placement& placement) {
  const std::int64_t side = placement.device.is_cuda() ? 8192 : 1024;
  const at::Tensor matrix = at::ones({side, side}, at::TensorOptions(placement.dtype).device(placement.device));
  using Clock = std::chrono::steady_clock;
  double fastest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3; ++i) {
    const auto began = Clock::now();
    const at::Tensor product = at::matmul(matrix, matrix);
    product[0][0].item();  // waits for it
    fastest = std::min(fastest, std::chrono::duration<double>(Clock::now() - began).count());
  }
  return 2.0 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side) / fastest;
}

}  // namespace

std::uint64_t Facts::kept() const {
  std::uint64_t sum = 0;
  for (const auto& component : components) sum += component.kept;
  return sum;
}

Facts inspect(const std::filesystem::path& model, std::vector<Size> sizes) {
  Facts facts;
  facts.class_name = class_of(model);
  facts.edits = facts.class_name.find("Edit") != std::string::npos;
  const auto manifest = read_model_manifest(model);
  facts.name = manifest.name;
  translating_errors([&] {
    const c10::InferenceMode inference;
    const Parts parts = Parts::load(model, manifest, {at::kMeta, at::kFloat}, {});
    facts.release = release_of(facts.class_name, parts.transformer.zero_cond_t());
    const bool sees = std::filesystem::exists(model / "processor");
    facts.components = {component_of(model, "transformer", [](const std::string&) { return false; }),
                        component_of(model, "text_encoder",
                                     [&](const std::string& name) {
                                       return models::Qwen25VL::ignores(name) ||
                                              (!sees && name.find("visual.") != std::string::npos);
                                     }),
                        component_of(model, "vae", models::AutoencoderQwenImage::ignores)};
    if (sizes.empty()) {
      const int side = parts.whole_tokens(image::dimensions_for_area(manifest.vae_area, 1)).width;
      sizes = {{std::max(side / 2, parts.token_side()), std::max(side / 2, parts.token_side())},
               {side, side},
               {2 * side, 2 * side}};
    }
    const std::int64_t text = text_tokens(parts, facts);
    for (const auto& size : sizes) facts.costs.push_back(cost_of(parts, facts, size, text));
  });
  return facts;
}

Capacity capacity_of(const std::string& device, const std::string& dtype) {
  Capacity capacity;
  const Placement placement = place({device, dtype});
  capacity.device = placement.device.str();
  capacity.dtype = placement.dtype == at::kFloat ? "float32" : placement.dtype == at::kHalf ? "float16" : "bfloat16";
  translating_errors([&] {
    const c10::InferenceMode inference;
    capacity.free_memory = free_memory(placement.device);
    capacity.rate = rate_of(placement);
  });
  return capacity;
}

}  // namespace holdall::runtime::pipelines
