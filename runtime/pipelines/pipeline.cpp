#include "runtime/pipelines/pipeline.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "runtime/error.h"
#include "runtime/pipelines/outpaint.h"
#include "runtime/pipelines/parts.h"
#include "runtime/pipelines/qwen_image.h"
#include "runtime/pipelines/settings.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::pipelines {

namespace {

struct Supported {
  const char* class_name;
  Result (*run)(const Parts&, const Request&);
  bool edits;
};
constexpr Supported kSupported[] = {{"QwenImagePipeline", qwen_image, false},
                                    {"QwenImageImg2ImgPipeline", qwen_image, false},
                                    {"QwenImageInpaintPipeline", qwen_image, false},
                                    {"QwenImageEditPipeline", qwen_image_edit, true},
                                    {"QwenImageEditInpaintPipeline", qwen_image_edit, true},
                                    {"QwenImageEditPlusPipeline", qwen_image_edit_plus, true}};

const Supported& supported(const std::filesystem::path& model) {
  if (!std::filesystem::is_directory(model))
    throw Error(ErrorKind::kNotFound, "cannot find the model folder '" + model.string() + "'");
  const auto index = weights::Config::read(model / "model_index.json");
  const auto name = index.get<std::string>("/_class_name");
  std::string known;
  for (const auto& kind : kSupported) {
    if (name == kind.class_name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.class_name);
  }
  index.refuse("/_class_name", "is '" + name + "', which is not supported: this build runs " + known);
}

class FamilyPipeline final : public Pipeline {
 public:
  FamilyPipeline(const Supported& kind, Parts parts) : kind_(kind), parts_(std::move(parts)) {}

  const std::string& class_name() const override { return class_name_; }
  bool edits() const override { return kind_.edits; }

  Result run(const Request& request) override {
    Result result;
    translating_errors([&] {
      const c10::InferenceMode inference;
      result = kind_.run(parts_, request.anchor ? on_canvas(request) : request);
    });
    return result;
  }

 private:
  Request on_canvas(const Request& request) const {
    if (!request.size) refuse("anchor", "an anchor needs the size of the canvas that the picture is placed on");
    return outpaint(request, {parts_.whole_tokens(*request.size), static_cast<int>(parts_.vae.scale())});
  }

  const Supported kind_;
  const std::string class_name_ = kind_.class_name;
  const Parts parts_;
};

}  // namespace

std::string class_of(const std::filesystem::path& model) {
  return supported(model).class_name;
}

std::unique_ptr<Pipeline> load(const std::filesystem::path& model, const ModelManifest& manifest,
                               const LoadOptions& options) {
  const Supported& kind = supported(model);
  std::unique_ptr<Pipeline> pipeline;
  const Placement placement = place(options);
  translating_errors([&] {
    pipeline = std::make_unique<FamilyPipeline>(kind, Parts::load(model, manifest, placement, options.loras));
  });
  return pipeline;
}

}  // namespace holdall::runtime::pipelines
