#include "runtime/pipelines/qwen_image.h"

#include "runtime/pipelines/run.h"

namespace holdall::runtime::pipelines {

Result qwen_image(const Parts& parts, const Request& request) {
  if (request.images.size() > 1)
    refuse("image", "this model starts from one picture: several references need Qwen-Image-Edit-2509 or later");
  if (request.condition_area) refuse("condition_area", "this model's text encoder sees no pictures");
  const bool from_picture = !request.images.empty();
  Request asked = request;
  if (from_picture && !asked.strength) asked.strength = kDefaultStrength;
  Run run(parts, asked,
          !from_picture ? "QwenImagePipeline"
          : !asked.mask ? "QwenImageImg2ImgPipeline"
                        : "QwenImageInpaintPipeline");

  const image::Size output = run.output_size(from_picture ? image::ratio(request.images[0]) : 1.0);
  Scene scene{{parts.grid(output)}, {}, {}};
  if (from_picture) scene.source = run.start_from(request.images[0], output);
  run.read_prompts(kDescribe, "", {}, scene.grids);
  return run.paint(scene);
}

}  // namespace holdall::runtime::pipelines
