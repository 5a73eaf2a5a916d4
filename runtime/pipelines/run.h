// One request on its way through a pipeline: the steps that the family shares, in the order in which they are taken.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/pipelines/latents.h"
#include "runtime/pipelines/parts.h"
#include "runtime/pipelines/pipeline.h"
#include "runtime/pipelines/prompt.h"
#include "runtime/pipelines/settings.h"

namespace holdall::runtime::pipelines {

// A picture that is started from instead of from noise alone.
struct Source {
  models::AutoencoderQwenImage::Posterior posterior;
  at::Tensor mask;  // (1, tokens, channels), 1 where it is repainted; undefined: everywhere
};

// What is painted, but for its noise.
struct Scene {
  std::vector<models::TokenGrid> grids;  // of all that the transformer sees: the target, then the references
  at::Tensor references;                 // (1, tokens, channels); undefined: none
  std::optional<Source> source;
  bool source_is_reference = false;  // the transformer sees the source's latents as a reference, too
};

class Run {
 public:
  // `pipeline`: the name of the one that runs, as diffusers calls it. Both outlive the run. Throws
  // runtime::Error{kBadRequest} as settings_of() does.
  Run(const Parts& parts, const Request& request, const char* pipeline);

  const Settings& settings() const { return settings_; }
  // The request's size, or the model's area in this ratio of width to height, in whole tokens.
  image::Size output_size(double ratio) const;
  // A reference's size as the autoencoder sees it, in whole tokens.
  image::Size reference_size(const image::Picture& picture) const;

  // The request's prompts, `marks` before each, with the pictures that the text encoder sees beside them.
  void read_prompts(const PromptTemplate& form, const std::string& marks, const std::vector<image::Picture>& seen,
                    const std::vector<models::TokenGrid>& grids);
  // The tokens of `picture`, stretched to `size`: the posterior's mean.
  at::Tensor encode(const image::Picture& picture, const image::Size& size);
  // `picture`, stretched to `size`, with the request's mask. Throws Error{kBadRequest} where that selects nothing, or
  // all.
  Source start_from(const image::Picture& picture, const image::Size& size);

  // The request's n pictures: noise, denoising, decoding. One after the other, so that each comes out the same alone.
  Result paint(const Scene& scene);

 private:
  using Clock = std::chrono::steady_clock;

  at::Tensor denoise(const Scene& scene, std::uint64_t seed, int done);
  // (1, tokens, channels) → (3, H, W) floats in [0, 1] on the CPU.
  at::Tensor decode(const at::Tensor& latents, const models::TokenGrid& grid) const;
  bool shows_after(int executed) const;
  at::Tensor predict(const at::Tensor& latents, const at::Tensor& references, const at::Tensor& timestep) const;
  void keep(const std::string& name, const at::Tensor& tensor);
  void lap(double& total);

  const Parts& parts_;
  const Request& request_;
  Settings settings_;
  Result result_;
  schedulers::Schedule schedule_;
  std::optional<models::TransformerQwenImage::Context> with_prompt_, without_;
  std::map<std::string, at::Tensor> dump_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace holdall::runtime::pipelines
