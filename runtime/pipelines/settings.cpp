#include "runtime/pipelines/settings.h"

#include <algorithm>
#include <string>

#include "runtime/error.h"
#include "runtime/pipelines/limits.h"

namespace holdall::runtime::pipelines {

namespace {

double area(const std::optional<double>& asked, double fallback, const char* field) {
  const double value = asked.value_or(fallback);
  if (!kArea.contains(value))
    refuse(field, std::string("cannot use this ") + field + ": needed " + kArea.text() + " pixels");
  return value;
}

void check_combination(const Request& request) {
  const bool blank = std::all_of(request.prompt.begin(), request.prompt.end(),
                                 [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
  if (blank) refuse("prompt", "the prompt is empty: say what the picture shall show");
  if (request.guidance_scale)
    refuse("guidance_scale",
           "this model is not guidance-distilled, guidance_scale would have no effect: use true_cfg_scale with a "
           "negative prompt");
  for (const auto& picture : request.images)
    if (picture.width < 1 || picture.height < 1) refuse("image", "a picture is empty");
  if (request.images.empty() && request.mask) refuse("mask", "a mask needs the picture that it belongs to");
  if (request.images.empty() && request.strength)
    refuse("strength", "strength says how far to go from a picture, and there is none");
  if (request.n > 1 && !request.dump.empty())
    refuse("n", "the intermediate tensors can be written for one picture only: ask for n = 1");
  if (request.mask &&
      (request.mask->width != request.images[0].width || request.mask->height != request.images[0].height))
    refuse("mask", "the mask has " + std::to_string(request.mask->width) + " × " +
                       std::to_string(request.mask->height) + " pixels, its picture " +
                       std::to_string(request.images[0].width) + " × " + std::to_string(request.images[0].height) +
                       ": they need to be the same");
}

// The reference's get_timesteps.
int first_step(const Request& request, int steps) {
  if (request.images.empty() || !(request.mask || request.strength)) return 0;
  const double strength = request.strength.value_or(kDefaultStrength);
  if (!(strength > 0 && strength <= 1))
    refuse("strength", "cannot use strength " + std::to_string(strength) +
                           ": needed more than 0, which would leave the picture as it is, and at most 1");
  const int first = static_cast<int>(std::max(steps - std::min(steps * strength, double(steps)), 0.0));
  if (first >= steps)
    refuse("strength", "strength " + std::to_string(strength) + " leaves none of " + std::to_string(steps) +
                           " steps to run: raise one of them");
  return first;
}

}  // namespace

void refuse(const char* field, const std::string& why) {
  throw Error(ErrorKind::kBadRequest, why, field);
}

Settings settings_of(const Request& request, const ModelManifest& manifest) {
  check_combination(request);
  Settings settings;
  settings.n = request.n;
  if (!kPictures.contains(settings.n))
    refuse("n", "cannot make " + std::to_string(settings.n) + " pictures: needed " + kPictures.text());
  settings.steps = request.steps.value_or(manifest.default_steps);
  if (!kSteps.contains(settings.steps))
    refuse("steps", "cannot run " + std::to_string(settings.steps) + " steps: needed " + kSteps.text());
  settings.first = first_step(request, settings.steps);
  settings.true_cfg_scale = request.true_cfg_scale.value_or(manifest.default_true_cfg_scale);
  if (!kTrueCfgScale.contains(settings.true_cfg_scale))
    refuse("true_cfg_scale", "cannot use this true_cfg_scale: needed " + kTrueCfgScale.text());
  settings.guided = settings.true_cfg_scale > 1 && request.negative_prompt;
  settings.vae_area = area(request.vae_area, manifest.vae_area, "vae_area");
  settings.condition_area = area(request.condition_area, manifest.condition_area, "condition_area");
  return settings;
}

}  // namespace holdall::runtime::pipelines
