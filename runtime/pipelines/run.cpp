#include "runtime/pipelines/run.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <utility>

#include "runtime/error.h"
#include "runtime/weights/safetensors.h"

namespace holdall::runtime::pipelines {

using at::Tensor;
using image::Picture;
using image::Size;

namespace {

// The guided prediction has the direction of u + scale·(p − u) and, token by token, the length of p.
Tensor guide(const Tensor& with_prompt, const Tensor& without, double scale) {
  const auto length = [](const Tensor& x) {
    return at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
  };
  const Tensor combined = without + scale * (with_prompt - without);
  return combined * (length(with_prompt) / length(combined));
}

}  // namespace

Run::Run(const Parts& parts, const Request& request, const char* pipeline)
    : parts_(parts), request_(request), settings_(settings_of(request, parts.manifest)) {
  result_.pipeline = pipeline;
  result_.seed = request.seed;
  result_.steps = settings_.steps - settings_.first;
}

Size Run::output_size(double ratio) const {
  return parts_.whole_tokens(request_.size ? *request_.size : image::dimensions_for_area(settings_.vae_area, ratio));
}

Size Run::reference_size(const Picture& picture) const {
  return parts_.whole_tokens(image::dimensions_for_area(settings_.vae_area, image::ratio(picture)));
}

void Run::read_prompts(const PromptTemplate& form, const std::string& marks, const std::vector<Picture>& seen,
                       const std::vector<models::TokenGrid>& grids) {
  const auto read = [&](const char* field, const std::string& prompt, const std::string& name) {
    const EmbeddedPrompt embedded = embed(parts_, form, {field, marks + prompt}, seen, grids);
    keep(name + "input_ids", embedded.ids);
    keep(name + "prompt_embeds", embedded.embeds);
    result_.tokens.text += embedded.text_tokens;
    return parts_.transformer.prepare(embedded.embeds, grids);
  };
  with_prompt_ = read("prompt", request_.prompt, "");
  if (settings_.guided) without_ = read("negative_prompt", *request_.negative_prompt, "negative_");
  lap(result_.timings.text);
}

Tensor Run::encode(const Picture& picture, const Size& size) {
  const Picture resized = image::resize_lanczos(picture, size.width, size.height);
  Tensor tokens = pack(parts_.vae.encode(to_tensor(resized).to(parts_.placement.device, parts_.placement.dtype)));
  lap(result_.timings.vae);
  return tokens;
}

Source Run::start_from(const Picture& picture, const Size& size) {
  Source source;
  if (request_.mask) {
    const Picture mask = image::resize_lanczos(*request_.mask, size.width, size.height);
    const Tensor tokens = pack_mask(mask, parts_.vae.scale(), parts_.vae.channels());
    if (tokens.max().item<float>() == 0)
      refuse("mask", "the mask selects nothing: paint white what shall change, no less than " +
                         std::to_string(parts_.vae.scale()) + " pixels of the result wide");
    if (tokens.min().item<float>() == 1)
      refuse("mask", "the mask keeps nothing: paint black what shall stay, or leave the mask out");
    source.mask = tokens.to(parts_.placement.device, parts_.placement.dtype);
    keep("mask", source.mask);
  }
  const Picture resized = image::resize_lanczos(picture, size.width, size.height);
  source.posterior = parts_.vae.posterior(to_tensor(resized).to(parts_.placement.device, parts_.placement.dtype));
  lap(result_.timings.vae);
  return source;
}

// The velocity of the target's tokens, guided where there is a negative prompt.
Tensor Run::predict(const Tensor& latents, const Tensor& references, const Tensor& timestep) const {
  const auto modulation =
      parts_.transformer.modulate(timestep.expand({1}).to(parts_.placement.device, parts_.placement.dtype) / 1000);
  const Tensor tokens = references.defined() ? at::cat({latents, references}, 1) : latents;
  const auto pass = [&](const models::TransformerQwenImage::Context& context) {
    return parts_.transformer.predict(tokens, context, modulation).slice(1, 0, latents.size(1));
  };
  const Tensor with_prompt = pass(*with_prompt_);
  return without_ ? guide(with_prompt, pass(*without_), settings_.true_cfg_scale) : with_prompt;
}

// Whether a preview is due after the step that is number `executed`, from 1.
bool Run::shows_after(int executed) const {
  const auto due = [&](int steps) { return steps * (request_.previews + 1) / result_.steps; };
  return request_.preview && request_.previews > 0 && executed < result_.steps && due(executed) > due(executed - 1);
}

Tensor Run::decode(const Tensor& latents, const models::TokenGrid& grid) const {
  const Tensor decoded = parts_.vae.decode(unpack(latents, grid));
  return (decoded[0] * 0.5 + 0.5).clamp(0, 1).to(at::kCPU).to(at::kFloat);
}

// The latents of one picture. `done`: the steps of the pictures before it.
Tensor Run::denoise(const Scene& scene, std::uint64_t seed, int done) {
  using schedulers::FlowMatchEuler;
  const auto& grid = scene.grids[0];
  const std::int64_t channels = parts_.vae.channels(), height = 2 * grid.height, width = 2 * grid.width;
  Noise random(seed, parts_.placement);
  Tensor clean, references = scene.references;
  if (scene.source) {  // the posterior's sample is drawn before the noise
    clean = pack(parts_.vae.sample(scene.source->posterior, random.draw({1, channels, 1, height, width}).squeeze(2)));
    keep("source_latents", clean);
    if (scene.source_is_reference) references = clean;
  }
  if (references.defined()) keep("image_latents", references);
  const Tensor noise = pack(random.draw({1, 1, channels, height, width}).squeeze(1));
  keep("noise", noise);

  Tensor latents = clean.defined() ? FlowMatchEuler::add_noise(schedule_, settings_.first, clean, noise) : noise;
  for (int step = settings_.first; step < settings_.steps; ++step) {
    const Tensor velocity = predict(latents, references, schedule_.timesteps[step]);
    latents = FlowMatchEuler::step(schedule_, step, velocity, latents);
    if (scene.source && scene.source->mask.defined()) {  // what is kept follows its own way from noise to clean
      const Tensor& mask = scene.source->mask;
      const bool last = step + 1 == settings_.steps;
      const Tensor kept = last ? clean : FlowMatchEuler::add_noise(schedule_, step + 1, clean, noise);
      latents = (1 - mask) * kept + mask * latents;
    }
    const int executed = step - settings_.first + 1;
    keep("latents." + std::to_string(executed - 1), latents);
    if (request_.progress && !request_.progress(done + executed, settings_.n * result_.steps))
      throw Error(ErrorKind::kCancelled, "cancelled");
    if (!shows_after(executed)) continue;
    lap(result_.timings.denoise);
    Tensor foreseen =
        latents - schedule_.sigmas[step + 1].item<double>() * velocity;  // straight on to where noise ends
    if (scene.source && scene.source->mask.defined()) {
      const Tensor& mask = scene.source->mask;
      foreseen = (1 - mask) * clean + mask * foreseen;
    }
    request_.preview(to_picture(decode(foreseen, grid)));
    lap(result_.timings.vae);
  }
  keep("latents", latents);
  lap(result_.timings.denoise);
  return latents;
}

Result Run::paint(const Scene& scene) {
  for (std::size_t i = scene.grids.size() > 1 || !scene.source ? 1 : 0; i < scene.grids.size(); ++i)
    result_.tokens.pictures += scene.grids[i].tokens();
  schedule_ = parts_.scheduler.schedule(settings_.steps, scene.grids[0].tokens());
  keep("sigmas", schedule_.sigmas);
  keep("timesteps", schedule_.timesteps.slice(0, settings_.first));
  for (int i = 0; i < settings_.n; ++i) {
    const Tensor latents = denoise(scene, request_.seed + static_cast<std::uint64_t>(i), i * result_.steps);
    const Tensor values = decode(latents, scene.grids[0]);
    keep("image", values);
    result_.pictures.push_back(to_picture(values));
    lap(result_.timings.vae);
  }
  if (!request_.dump.empty()) weights::write_safetensors(request_.dump, dump_);
  return std::move(result_);
}

void Run::keep(const std::string& name, const Tensor& tensor) {
  if (!request_.dump.empty()) dump_[name] = tensor;
}

// The time since the last lap goes to `total`.
void Run::lap(double& total) {
  const auto now = Clock::now();
  total += std::chrono::duration<double>(now - std::exchange(last_, now)).count();
}

}  // namespace holdall::runtime::pipelines
