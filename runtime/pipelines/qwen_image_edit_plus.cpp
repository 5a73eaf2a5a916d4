// Reads from top to bottom as the edit goes: sizes, prompt embeddings, reference latents, noise, denoising, decoding.
// Follows diffusers' pipeline_qwenimage_edit_plus.py; the positions of image tokens are three-dimensional
// (qwen2_5_vl.h).
#include "runtime/pipelines/qwen_image_edit_plus.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/error.h"
#include "runtime/models/autoencoder_qwen_image.h"
#include "runtime/models/qwen2_5_vl.h"
#include "runtime/models/transformer_qwen_image.h"
#include "runtime/pipelines/limits.h"
#include "runtime/schedulers/flow_match_euler.h"
#include "runtime/weights/config.h"
#include "runtime/weights/safetensors.h"

namespace holdall::runtime::pipelines {

namespace {

using at::Tensor;
using image::Picture;
using image::Size;

// The system prompt that the model was trained with; {} is the user's turn. Its first 64 tokens are dropped from the
// embeddings, a hard count in the reference.
constexpr const char* kPromptBefore =
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. Generate a new image "
    "that meets the user's requirements while maintaining consistency with the original input where appropriate."
    "<|im_end|>\n<|im_start|>user\n";
constexpr const char* kPromptAfter = "<|im_end|>\n<|im_start|>assistant\n";
constexpr std::int64_t kDroppedTokens = 64;

double ratio(const Picture& picture) {
  return static_cast<double>(picture.width) / picture.height;
}

// 8-bit RGB → (1, 3, H, W) in [-1, 1].
Tensor to_tensor(const Picture& picture) {
  const Tensor bytes =
      at::from_blob(const_cast<std::uint8_t*>(picture.rgb.data()), {picture.height, picture.width, 3}, at::kByte);
  return (bytes.to(at::kFloat) / 255.0).permute({2, 0, 1}).unsqueeze(0).contiguous() * 2.0 - 1.0;
}

// (3, H, W) floats in [0, 1] → 8-bit RGB, halves rounded to even.
Picture to_picture(const Tensor& values) {
  const Tensor bytes = (values.permute({1, 2, 0}) * 255).round().to(at::kByte).contiguous();
  Picture picture{static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)), {}};
  picture.rgb.resize(bytes.nbytes());
  std::memcpy(picture.rgb.data(), bytes.const_data_ptr(), bytes.nbytes());
  return picture;
}

// (1, C, H, W) latents ↔ (1, H·W/4, 4C) tokens: one token is a square of 2 × 2.
Tensor pack(const Tensor& latents) {
  const auto c = latents.size(1), h = latents.size(2), w = latents.size(3);
  return latents.view({1, c, h / 2, 2, w / 2, 2}).permute({0, 2, 4, 1, 3, 5}).reshape({1, h / 2 * (w / 2), 4 * c});
}

Tensor unpack(const Tensor& tokens, const models::TokenGrid& grid) {
  const auto c = tokens.size(2) / 4;
  return tokens.view({1, grid.height, grid.width, c, 2, 2})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({1, c, 2 * grid.height, 2 * grid.width});
}

// The guided prediction has the direction of u + scale·(p − u) and, token by token, the length of p.
Tensor guide(const Tensor& with_prompt, const Tensor& without, double scale) {
  const auto length = [](const Tensor& x) {
    return at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
  };
  const Tensor combined = without + scale * (with_prompt - without);
  return combined * (length(with_prompt) / length(combined));
}

class Stopwatch {
 public:
  // Seconds since the last call, added to `total`.
  void lap(double& total) {
    const auto now = std::chrono::steady_clock::now();
    total += std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

class QwenImageEditPlus final : public Pipeline {
 public:
  QwenImageEditPlus(const std::filesystem::path& model, const ModelManifest& manifest, const Placement& placement)
      : placement_(placement),
        manifest_(manifest),
        scheduler_(schedulers::FlowMatchEuler::load(model / "scheduler")),
        vae_(models::AutoencoderQwenImage::load(model / "vae", placement.device, placement.dtype)),
        text_encoder_(models::Qwen25VL::load(model, placement.device, placement.dtype)),
        transformer_(models::TransformerQwenImage::load(model / "transformer", placement.device, placement.dtype)) {
    if (transformer_.in_channels() != 4 * vae_.channels())
      throw Error(ErrorKind::kBadModel, "cannot use '" + model.string() + "': the transformer takes " +
                                            std::to_string(transformer_.in_channels()) +
                                            " channels, four of the autoencoder's " + std::to_string(vae_.channels()) +
                                            " were needed");
  }

  const std::string& class_name() const override { return class_name_; }

  Result run(const Request& request) override {
    Result result;
    translating_errors([&] { result = edit(request); });
    return result;
  }

 private:
  struct Plan {  // the request, checked and with every default filled in
    Size output;
    std::vector<Size> condition, vae;  // per picture
    int steps;
    double true_cfg_scale;
    bool guided;
    std::vector<models::TokenGrid> grids;  // the target's, then the pictures'
  };

  Plan plan(const Request& request) const {
    if (request.images.empty())
      throw Error(ErrorKind::kBadRequest, "this model edits pictures: give at least one", "image");
    Plan plan{};
    plan.steps = request.steps.value_or(manifest_.default_steps);
    if (!kSteps.contains(plan.steps))
      throw Error(ErrorKind::kBadRequest,
                  "cannot run " + std::to_string(plan.steps) + " steps: needed " + kSteps.text(), "steps");
    plan.true_cfg_scale = request.true_cfg_scale.value_or(manifest_.default_true_cfg_scale);
    if (!kTrueCfgScale.contains(plan.true_cfg_scale))
      throw Error(ErrorKind::kBadRequest, "cannot use this true_cfg_scale: needed " + kTrueCfgScale.text(),
                  "true_cfg_scale");
    plan.guided = plan.true_cfg_scale > 1 && request.negative_prompt;

    const double vae_area = area(request.vae_area, manifest_.vae_area, "vae_area");
    const double condition_area = area(request.condition_area, manifest_.condition_area, "condition_area");
    for (const auto& picture : request.images) {
      if (picture.width < 1 || picture.height < 1) throw Error(ErrorKind::kBadRequest, "a picture is empty", "image");
      plan.condition.push_back(image::dimensions_for_area(condition_area, ratio(picture)));
      plan.vae.push_back(whole_tokens(image::dimensions_for_area(vae_area, ratio(picture))));
    }
    plan.output =
        whole_tokens(request.size ? *request.size : image::dimensions_for_area(vae_area, ratio(request.images.back())));
    plan.grids.push_back(grid(plan.output));
    for (const auto& size : plan.vae) plan.grids.push_back(grid(size));
    return plan;
  }

  static double area(const std::optional<double>& asked, double fallback, const char* name) {
    const double value = asked.value_or(fallback);
    if (!kArea.contains(value))
      throw Error(ErrorKind::kBadRequest,
                  std::string("cannot use this ") + name + ": needed " + kArea.text() + " pixels", name);
    return value;
  }

  int token_side() const { return static_cast<int>(2 * vae_.scale()); }  // in pixels

  Size whole_tokens(const Size& size) const {
    const int side = token_side();
    const Size floored{size.width / side * side, size.height / side * side};
    if (size.width < side || size.height < side || std::max(size.width, size.height) > kLongestSide)
      throw Error(ErrorKind::kBadRequest,
                  "cannot make a picture of " + std::to_string(size.width) + " × " + std::to_string(size.height) +
                      ": needed " + std::to_string(side) + " to " + std::to_string(kLongestSide) +
                      " pixels on each side",
                  "size");
    return floored;
  }

  models::TokenGrid grid(const Size& size) const { return {size.height / token_side(), size.width / token_side()}; }

  // The embeddings of what follows the system prompt. `name` is the dump's.
  Tensor embed(const std::string& prompt, const std::vector<Picture>& pictures, const std::string& name,
               std::map<std::string, Tensor>& dump) const {
    std::string text = kPromptBefore;
    for (std::size_t i = 1; i <= pictures.size(); ++i)
      text += "Picture " + std::to_string(i) + ": <|vision_start|><|image_pad|><|vision_end|>";
    const auto input = text_encoder_.process(text + prompt + kPromptAfter, pictures);
    const Tensor states = text_encoder_.encode(input);
    if (states.size(1) <= kDroppedTokens || states.size(2) != transformer_.text_channels())
      throw Error(ErrorKind::kBadModel, "the text encoder gives " + std::to_string(states.size(1)) + " tokens of " +
                                            std::to_string(states.size(2)) + " channels, needed more than 64 of " +
                                            std::to_string(transformer_.text_channels()));
    Tensor embeds = states.slice(1, kDroppedTokens).contiguous();
    dump[name + "input_ids"] = at::tensor(input.input_ids, at::kLong).unsqueeze(0);
    dump[name + "prompt_embeds"] = embeds;
    return embeds;
  }

  Tensor encode_references(const Request& request, const Plan& plan) const {
    std::vector<Tensor> tokens;
    for (std::size_t i = 0; i < request.images.size(); ++i) {
      const Picture resized = image::resize_lanczos(request.images[i], plan.vae[i].width, plan.vae[i].height);
      tokens.push_back(pack(vae_.encode(to_tensor(resized).to(placement_.device, placement_.dtype))));
    }
    return at::cat(tokens, 1);
  }

  // Drawn on the CPU whatever the device, so that a seed means the same picture everywhere.
  Tensor draw_noise(std::uint64_t seed, const models::TokenGrid& grid) const {
    const auto generator = at::detail::createCPUGenerator(seed);
    const Tensor noise = at::randn({1, 1, vae_.channels(), 2 * grid.height, 2 * grid.width}, generator,
                                   at::TensorOptions(placement_.dtype));
    return pack(noise.squeeze(1)).to(placement_.device);
  }

  Result edit(const Request& request) const {
    const c10::InferenceMode inference;
    Result result;
    Stopwatch watch;
    std::map<std::string, Tensor> dump;
    const Plan plan = this->plan(request);
    result.seed = request.seed;
    result.steps = plan.steps;

    std::vector<Picture> conditions;
    for (std::size_t i = 0; i < request.images.size(); ++i)
      conditions.push_back(image::resize_lanczos(request.images[i], plan.condition[i].width, plan.condition[i].height));
    const auto with_prompt = transformer_.prepare(embed(request.prompt, conditions, "", dump), plan.grids);
    std::optional<models::TransformerQwenImage::Context> without;
    if (plan.guided)
      without = transformer_.prepare(embed(*request.negative_prompt, conditions, "negative_", dump), plan.grids);
    watch.lap(result.timings.text);

    const Tensor references = dump["image_latents"] = encode_references(request, plan);
    watch.lap(result.timings.vae);

    Tensor latents = dump["noise"] = draw_noise(request.seed, plan.grids[0]);
    const std::int64_t target = latents.size(1);
    const auto schedule = scheduler_.schedule(plan.steps, target);
    for (int step = 0; step < plan.steps; ++step) {
      const Tensor timestep = schedule.timesteps[step].expand({1}).to(placement_.device, placement_.dtype) / 1000;
      const auto modulation = transformer_.modulate(timestep);
      const Tensor tokens = at::cat({latents, references}, 1);
      Tensor prediction = transformer_.predict(tokens, with_prompt, modulation).slice(1, 0, target);
      if (without)
        prediction = guide(prediction, transformer_.predict(tokens, *without, modulation).slice(1, 0, target),
                           plan.true_cfg_scale);
      latents = schedulers::FlowMatchEuler::step(schedule, step, prediction, latents);
      if (!request.dump.empty()) dump["latents." + std::to_string(step)] = latents;
      if (request.progress && !request.progress(step + 1, plan.steps)) throw Error(ErrorKind::kCancelled, "cancelled");
    }
    watch.lap(result.timings.denoise);

    const Tensor decoded = vae_.decode(unpack(latents, plan.grids[0]));
    const Tensor values = dump["image"] = (decoded[0] * 0.5 + 0.5).clamp(0, 1).to(at::kCPU).to(at::kFloat);
    result.picture = to_picture(values);
    watch.lap(result.timings.vae);

    if (!request.dump.empty()) {
      dump["latents"] = latents;
      dump["sigmas"] = schedule.sigmas;
      dump["timesteps"] = schedule.timesteps;
      weights::write_safetensors(request.dump, dump);
    }
    return result;
  }

  const std::string class_name_ = "QwenImageEditPlusPipeline";
  Placement placement_;
  ModelManifest manifest_;
  schedulers::FlowMatchEuler scheduler_;
  models::AutoencoderQwenImage vae_;
  models::Qwen25VL text_encoder_;
  models::TransformerQwenImage transformer_;
};

}  // namespace

std::unique_ptr<Pipeline> load_qwen_image_edit_plus(const std::filesystem::path& model, const ModelManifest& manifest,
                                                    const Placement& placement) {
  const auto index = weights::Config::read(model / "model_index.json");
  constexpr std::pair<const char*, const char*> kComponents[] = {{"scheduler", "FlowMatchEulerDiscreteScheduler"},
                                                                 {"vae", "AutoencoderKLQwenImage"},
                                                                 {"text_encoder", "Qwen2_5_VLForConditionalGeneration"},
                                                                 {"transformer", "QwenImageTransformer2DModel"}};
  for (const auto& [component, needed] : kComponents) {
    const std::string pointer = std::string("/") + component + "/1";
    const auto found = index.get<std::string>(pointer);
    if (found != needed)
      index.refuse(pointer, "is '" + found + "', which is not supported here: needed '" + needed + "'");
  }
  return std::make_unique<QwenImageEditPlus>(model, manifest, placement);
}

}  // namespace holdall::runtime::pipelines
