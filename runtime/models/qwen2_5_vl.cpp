#include "runtime/models/qwen2_5_vl.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <algorithm>
#include <optional>
#include <utility>

#include "runtime/error.h"
#include "runtime/models/qwen2_5_vl_config.h"
#include "runtime/models/qwen2_5_vl_processor.h"
#include "runtime/models/qwen2_5_vl_text.h"
#include "runtime/models/qwen2_5_vl_vision.h"
#include "runtime/text/tokenizer.h"
#include "runtime/weights/checkpoint.h"

namespace holdall::runtime::models {
namespace {

namespace fs = std::filesystem;
using namespace qwen25vl;

constexpr const char* kImageToken = "<|image_pad|>";

// Weights are saved as `model.*` and `visual.*`, or under the names of transformers' modules, `model.language_model.*`
// and `model.visual.*`.
Source source_of(weights::Checkpoint& checkpoint, const char* nested, const char* flat, const char* witness,
                 at::Device device, at::ScalarType dtype) {
  return {checkpoint, checkpoint.has(std::string(nested) + witness) ? nested : flat, device, dtype};
}

}  // namespace

struct Qwen25VL::State {
  State(const fs::path& model, at::Device to, at::ScalarType dtype)
      : config(ModelConfig::read(model / "text_encoder")),
        tokenizer(text::Tokenizer::load(model / (fs::exists(model / "tokenizer") ? "tokenizer" : "processor"))),
        image_token(tokenizer.id_of(kImageToken)) {
    const fs::path folder = model / "text_encoder";
    if (image_token != config.image_token) {
      throw Error(ErrorKind::kBadModel, "cannot use '" + model.string() + "': the tokenizer's '" + kImageToken +
                                            "' is " + std::to_string(image_token) +
                                            ", the text encoder's image_token_id is " +
                                            std::to_string(config.image_token));
    }
    if (tokenizer.size() > config.text.vocabulary) {
      throw Error(ErrorKind::kBadModel, "cannot use '" + model.string() + "': the tokenizer has ids up to " +
                                            std::to_string(tokenizer.size() - 1) +
                                            ", the text encoder a vocabulary of " +
                                            std::to_string(config.text.vocabulary));
    }
    weights::Checkpoint checkpoint = weights::Checkpoint::open(folder);
    language.emplace(config.text,
                     source_of(checkpoint, "model.language_model.", "model.", "embed_tokens.weight", to, dtype));
    const Source visual = source_of(checkpoint, "model.visual.", "visual.", "patch_embed.proj.weight", to, dtype);
    const bool sees = fs::exists(model / "processor");
    if (sees) {
      processor = ProcessorConfig::read(model / "processor");
      if (processor->patch != config.vision.patch || processor->temporal_patch != config.vision.temporal_patch ||
          processor->merge != config.vision.merge) {
        throw Error(ErrorKind::kBadModel, "cannot use '" + (model / "processor").string() +
                                              "': its patch sizes differ from the text encoder's vision_config");
      }
      vision.emplace(config.vision, visual);
    }
    checkpoint.require_complete(
        [&](const std::string& name) { return ignores(name) || (!sees && name.starts_with(visual.prefix)); });
  }

  ModelConfig config;
  text::Tokenizer tokenizer;
  std::int64_t image_token;
  std::optional<ProcessorConfig> processor;
  std::optional<LanguageModel> language;
  std::optional<VisionTower> vision;
};

Qwen25VL::Qwen25VL(std::unique_ptr<State> state) : state_(std::move(state)) {}
Qwen25VL::Qwen25VL(Qwen25VL&&) noexcept = default;
Qwen25VL::~Qwen25VL() = default;

Qwen25VL Qwen25VL::load(const fs::path& model, at::Device device, at::ScalarType dtype) {
  const c10::InferenceMode inference;
  return Qwen25VL(std::make_unique<State>(model, device, dtype));
}

bool Qwen25VL::ignores(const std::string& tensor) {
  return tensor == "lm_head.weight" || tensor.ends_with(".inv_freq");
}

VisionLanguageInput Qwen25VL::process(const std::string& text, const std::vector<image::Picture>& pictures) const {
  const c10::InferenceMode inference;
  if (!pictures.empty() && !state_->vision) {
    throw Error(ErrorKind::kBadRequest, "this model takes no picture: its checkpoint has no processor", "image");
  }
  const std::vector<std::int64_t> ids = state_->tokenizer.encode(text);
  const auto places = static_cast<std::size_t>(std::count(ids.begin(), ids.end(), state_->image_token));
  if (places != pictures.size()) {
    throw Error(ErrorKind::kBadRequest,
                "the prompt has " + std::to_string(places) + " times '" + kImageToken + "' for " +
                    std::to_string(pictures.size()) + " pictures: leave such tokens out of it",
                "prompt");
  }
  VisionLanguageInput input;
  std::vector<at::Tensor> values;
  for (const image::Picture& picture : pictures) {
    Patches patches = to_patches(picture, *state_->processor);
    values.push_back(std::move(patches.values));
    input.image_grids.push_back(patches.grid);
  }
  if (!values.empty()) input.pixel_values = at::cat(values, 0);
  const std::int64_t unit = state_->config.vision.merge * state_->config.vision.merge;
  auto grid = input.image_grids.begin();
  for (const std::int64_t id : ids) {
    std::size_t copies = 1;
    if (id == state_->image_token) {
      copies = static_cast<std::size_t>((*grid)[0] * (*grid)[1] * (*grid)[2] / unit);
      input.image_ids += static_cast<std::int64_t>(copies);
      ++grid;
    }
    input.input_ids.insert(input.input_ids.end(), copies, id);
  }
  return input;
}

at::Tensor Qwen25VL::encode(const VisionLanguageInput& input) const {
  const c10::InferenceMode inference;
  const auto& ids = input.input_ids;
  const auto beyond = std::find_if(ids.begin(), ids.end(),
                                   [&](std::int64_t id) { return id < 0 || id >= state_->config.text.vocabulary; });
  if (ids.empty() || beyond != ids.end()) {
    throw Error(ErrorKind::kBadModel, ids.empty()
                                          ? "there is no token to encode"
                                          : "token " + std::to_string(*beyond) + " is beyond the text encoder's " +
                                                std::to_string(state_->config.text.vocabulary));
  }
  const std::int64_t merge = state_->config.vision.merge;
  std::int64_t image_tokens = 0;
  for (const auto& [frames, rows, columns] : input.image_grids)
    image_tokens += frames * rows * columns / (merge * merge);
  if (image_tokens != std::count(ids.begin(), ids.end(), state_->image_token)) {
    throw Error(ErrorKind::kInternal, "the prompt's picture tokens do not match its pictures");
  }
  const at::Tensor id_tensor = at::tensor(ids, at::kLong);
  const at::Device device = state_->language->device();
  at::Tensor embeddings = state_->language->embed(id_tensor.to(device));
  if (!input.image_grids.empty()) {
    const at::Tensor seen = (*state_->vision)(input.pixel_values, input.image_grids);
    const at::Tensor mask = (id_tensor == state_->image_token).view({1, -1, 1}).to(device);
    embeddings = embeddings.masked_scatter(mask, seen);
  }
  const at::Tensor positions = mrope_positions(ids, state_->image_token, input.image_grids, merge);
  return (*state_->language)(embeddings, positions.to(device));
}

}  // namespace holdall::runtime::models
