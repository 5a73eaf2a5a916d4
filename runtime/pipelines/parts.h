// What every pipeline of the family is made of, loaded from one checkpoint folder.
#pragma once

#include <filesystem>

#include "runtime/image/resize.h"
#include "runtime/models/autoencoder_qwen_image.h"
#include "runtime/models/qwen2_5_vl.h"
#include "runtime/models/transformer_qwen_image.h"
#include "runtime/pipelines/device.h"
#include "runtime/pipelines/model_manifest.h"
#include "runtime/schedulers/flow_match_euler.h"

namespace holdall::runtime::pipelines {

struct Parts {
  Placement placement;
  ModelManifest manifest;
  schedulers::FlowMatchEuler scheduler;
  models::AutoencoderQwenImage vae;
  models::Qwen25VL text_encoder;
  models::TransformerQwenImage transformer;

  // `model`: the checkpoint's root, whose model_index.json names the classes of these parts. Throws
  // runtime::Error{kNotFound, kBadModel}.
  static Parts load(const std::filesystem::path& model, const ModelManifest& manifest, const Placement& placement,
                    const std::vector<LoraFile>& loras);

  int token_side() const { return static_cast<int>(2 * vae.scale()); }  // in pixels
  models::TokenGrid grid(const image::Size& size) const {
    return {size.height / token_side(), size.width / token_side()};
  }
  // The largest size of whole tokens within `size`. Throws Error{kBadRequest, …, "size"} for less than one token or
  // more than kLongestSide pixels on a side.
  image::Size whole_tokens(const image::Size& size) const;
};

}  // namespace holdall::runtime::pipelines
