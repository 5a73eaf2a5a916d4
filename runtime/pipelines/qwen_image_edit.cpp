#include "runtime/pipelines/qwen_image.h"
#include "runtime/pipelines/run.h"

namespace holdall::runtime::pipelines {

// Text encoder and autoencoder see the picture in one size. With a mask that size is the result's, and the latents that
// are started from are the reference, too.
Result qwen_image_edit(const Parts& parts, const Request& request) {
  if (request.images.empty()) refuse("image", "this model edits pictures: give one");
  if (request.images.size() > 1)
    refuse("image", "this model edits one picture: several need Qwen-Image-Edit-2509 or later");
  if (request.condition_area)
    refuse("condition_area", "this model's text encoder sees the picture in the autoencoder's size: set vae_area");
  if (request.strength && !request.mask)
    refuse("strength", "an edit without a mask begins from noise: strength needs a mask");
  Run run(parts, request, request.mask ? "QwenImageEditInpaintPipeline" : "QwenImageEditPipeline");

  const image::Picture& picture = request.images[0];
  const image::Size output = run.output_size(image::ratio(picture));
  const image::Size size = request.mask ? output : run.reference_size(picture);
  Scene scene{{parts.grid(output), parts.grid(size)}, {}, {}};
  if (request.mask) {
    scene.source = run.start_from(picture, size);
    scene.source_is_reference = true;
  } else {
    scene.references = run.encode(picture, size);
  }
  run.read_prompts(kInstruct, kPictureMark, {image::resize_lanczos(picture, size.width, size.height)}, scene.grids);
  return run.paint(scene);
}

}  // namespace holdall::runtime::pipelines
