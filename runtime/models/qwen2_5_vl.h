// Qwen2.5-VL as a text encoder: the vision tower, the language model, and the vision-language processor in front.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/image/picture.h"

namespace holdall::runtime::models {

// What the pipeline's processor would give for one prompt: ids with every <|image_pad|> expanded to the image's tokens,
// the pictures as patches.
struct VisionLanguageInput {
  std::vector<std::int64_t> input_ids;
  std::int64_t image_ids = 0;                            // how many of them stand for pictures
  at::Tensor pixel_values;                               // (patches, 3·2·14·14) float32; undefined without pictures
  std::vector<std::array<std::int64_t, 3>> image_grids;  // (t, h, w) in patches, one per picture
};

class Qwen25VL {
 public:
  // `model` is the checkpoint's root: reads text_encoder/ (weights, config), tokenizer/ and processor/ (absent for text
  // to image). Throws runtime::Error{kBadModel, kNotFound}.
  static Qwen25VL load(const std::filesystem::path& model, at::Device device, at::ScalarType dtype);
  Qwen25VL(Qwen25VL&&) noexcept;
  ~Qwen25VL();

  // Tokenizes `text`, in which "<|vision_start|><|image_pad|><|vision_end|>" stands once per picture, and preprocesses
  // the pictures (smart_resize, bicubic, CLIP mean and std, patches in 2×2-merge order).
  VisionLanguageInput process(const std::string& text, const std::vector<image::Picture>& pictures) const;

  // Whether a checkpoint's tensor of this name is of no use here: the head, and tables that old versions saved.
  static bool ignores(const std::string& tensor);

  // hidden_states[-1], post final norm: (1, tokens, hidden) in the model's dtype, with 3-D M-RoPE positions.
  at::Tensor encode(const VisionLanguageInput& input) const;

 private:
  struct State;
  explicit Qwen25VL(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdall::runtime::models
