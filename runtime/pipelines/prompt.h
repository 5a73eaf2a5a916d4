// From a prompt, and the pictures that go with it, to what the transformer is conditioned on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "runtime/image/picture.h"
#include "runtime/models/transformer_qwen_image.h"
#include "runtime/pipelines/parts.h"

namespace holdall::runtime::pipelines {

// The system prompt that a model was trained with, up to the user's turn. Its first `dropped` tokens leave no
// embeddings, a hard count in the reference.
struct PromptTemplate {
  const char* before;
  std::int64_t dropped;
  std::int64_t longest = std::numeric_limits<std::int64_t>::max();  // tokens of a prompt that the model ever saw
};

// Text to image.
inline constexpr PromptTemplate kDescribe{
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n",
    34, 512};
// Edits.
inline constexpr PromptTemplate kInstruct{
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. Generate a new image "
    "that meets the user's requirements while maintaining consistency with the original input where appropriate."
    "<|im_end|>\n<|im_start|>user\n",
    64};

// Stands for one picture in a prompt.
inline constexpr const char* kPictureMark = "<|vision_start|><|image_pad|><|vision_end|>";

struct EmbeddedPrompt {
  at::Tensor ids;            // (1, tokens) int64, the template's too
  at::Tensor embeds;         // (1, tokens − dropped, text channels)
  std::int64_t text_tokens;  // of these embeddings: those that stand for text, not for pictures
};

struct PromptQuestion {
  const char* field;  // of the request, for complaints
  std::string text;   // the user's turn, with a mark for each picture
};

// Throws runtime::Error{kBadRequest} naming the field for a prompt that is longer than the model takes, beside pictures
// of these `grids` (the target's, then the references'), before it is encoded.
EmbeddedPrompt embed(const Parts& parts, const PromptTemplate& form, const PromptQuestion& question,
                     const std::vector<image::Picture>& pictures, const std::vector<models::TokenGrid>& grids);

}  // namespace holdall::runtime::pipelines
