#include "runtime/pipelines/prompt.h"

#include <ATen/ops/tensor.h>

#include "runtime/error.h"

namespace holdall::runtime::pipelines {

EmbeddedPrompt embed(const Parts& parts, const PromptTemplate& form, const PromptQuestion& question,
                     const std::vector<image::Picture>& pictures, const std::vector<models::TokenGrid>& grids) {
  const auto input =
      parts.text_encoder.process(form.before + question.text + "<|im_end|>\n<|im_start|>assistant\n", pictures);
  const std::int64_t tokens = static_cast<std::int64_t>(input.input_ids.size()) - form.dropped;
  if (tokens > form.longest)
    throw Error(ErrorKind::kBadRequest,
                "the prompt has " + std::to_string(tokens) + " tokens, this model reads " +
                    std::to_string(form.longest) + ": shorten it",
                question.field);
  models::TransformerQwenImage::require_room(tokens, grids);
  const at::Tensor states = parts.text_encoder.encode(input);
  if (tokens <= 0 || states.size(2) != parts.transformer.text_channels())
    throw Error(ErrorKind::kBadModel, "the text encoder gives " + std::to_string(states.size(1)) + " tokens of " +
                                          std::to_string(states.size(2)) + " channels, needed more than " +
                                          std::to_string(form.dropped) + " of " +
                                          std::to_string(parts.transformer.text_channels()));
  return {at::tensor(input.input_ids, at::kLong).unsqueeze(0), states.slice(1, form.dropped).contiguous(),
          tokens - input.image_ids};
}

}  // namespace holdall::runtime::pipelines
