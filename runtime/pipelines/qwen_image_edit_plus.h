// QwenImageEditPlusPipeline: instruction edits of one or several pictures, as released with Qwen-Image-Edit-2509.
#pragma once

#include <filesystem>
#include <memory>

#include "runtime/pipelines/device.h"
#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::pipelines {

// `model`: the checkpoint's root, whose model_index.json names this class. Throws runtime::Error{kNotFound, kBadModel}.
std::unique_ptr<Pipeline> load_qwen_image_edit_plus(const std::filesystem::path& model, const ModelManifest& manifest,
                                                    const Placement& placement);

}  // namespace holdall::runtime::pipelines
