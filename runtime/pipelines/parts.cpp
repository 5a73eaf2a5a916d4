#include "runtime/pipelines/parts.h"

#include <algorithm>
#include <string>
#include <utility>

#include "runtime/error.h"
#include "runtime/pipelines/limits.h"
#include "runtime/weights/config.h"

namespace holdall::runtime::pipelines {

Parts Parts::load(const std::filesystem::path& model, const ModelManifest& manifest, const Placement& placement,
                  const std::vector<LoraFile>& loras) {
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
  std::vector<weights::Lora> opened;
  for (const auto& lora : loras) opened.push_back(weights::Lora::open(lora.file, lora.scale));
  Parts parts{
      placement,
      manifest,
      schedulers::FlowMatchEuler::load(model / "scheduler"),
      models::AutoencoderQwenImage::load(model / "vae", placement.device, placement.dtype),
      models::Qwen25VL::load(model, placement.device, placement.dtype),
      models::TransformerQwenImage::load(model / "transformer", placement.device, placement.dtype, std::move(opened))};
  if (parts.transformer.in_channels() != 4 * parts.vae.channels())
    throw Error(ErrorKind::kBadModel, "cannot use '" + model.string() + "': the transformer takes " +
                                          std::to_string(parts.transformer.in_channels()) +
                                          " channels, four of the autoencoder's " +
                                          std::to_string(parts.vae.channels()) + " were needed");
  return parts;
}

image::Size Parts::whole_tokens(const image::Size& size) const {
  const int side = token_side();
  if (size.width < side || size.height < side || std::max(size.width, size.height) > kLongestSide)
    throw Error(ErrorKind::kBadRequest,
                "cannot make a picture of " + std::to_string(size.width) + " × " + std::to_string(size.height) +
                    ": needed " + std::to_string(side) + " to " + std::to_string(kLongestSide) + " pixels on each side",
                "size");
  return {size.width / side * side, size.height / side * side};
}

}  // namespace holdall::runtime::pipelines
