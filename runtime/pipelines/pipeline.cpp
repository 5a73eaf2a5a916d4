#include "runtime/pipelines/pipeline.h"

#include "runtime/error.h"
#include "runtime/pipelines/device.h"
#include "runtime/pipelines/qwen_image_edit_plus.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::pipelines {

namespace {

using Loader = std::unique_ptr<Pipeline> (*)(const std::filesystem::path&, const ModelManifest&, const Placement&);
struct Supported {
  const char* class_name;
  Loader load;
};
constexpr Supported kSupported[] = {{"QwenImageEditPlusPipeline", load_qwen_image_edit_plus}};

}  // namespace

std::unique_ptr<Pipeline> load(const std::filesystem::path& model, const ModelManifest& manifest,
                               const LoadOptions& options) {
  if (!std::filesystem::is_directory(model))
    throw Error(ErrorKind::kNotFound, "cannot find the model folder '" + model.string() + "'");
  const auto index = weights::Config::read(model / "model_index.json");
  const auto name = index.get<std::string>("/_class_name");
  std::string known;
  for (const auto& supported : kSupported) {
    known += (known.empty() ? "" : ", ") + std::string(supported.class_name);
    if (name != supported.class_name) continue;
    std::unique_ptr<Pipeline> pipeline;
    const Placement placement = place(options);
    translating_errors([&] { pipeline = supported.load(model, manifest, placement); });
    return pipeline;
  }
  index.refuse("/_class_name", "is '" + name + "', which is not supported: this build runs " + known);
}

}  // namespace holdall::runtime::pipelines
