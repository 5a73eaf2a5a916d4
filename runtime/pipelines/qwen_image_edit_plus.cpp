#include <ATen/ops/cat.h>

#include "runtime/pipelines/qwen_image.h"
#include "runtime/pipelines/run.h"

namespace holdall::runtime::pipelines {

Result qwen_image_edit_plus(const Parts& parts, const Request& request) {
  if (request.images.empty()) refuse("image", "this model edits pictures: give at least one");
  if (request.strength && !request.mask)
    refuse("strength", "an edit without a mask begins from noise: strength needs a mask");
  Run run(parts, request, "QwenImageEditPlusPipeline");

  // The result has the last picture's ratio, as in the reference; with a mask that of the picture it belongs to.
  const image::Picture& first = request.images.front();
  const image::Size output = run.output_size(image::ratio(request.mask ? first : request.images.back()));
  Scene scene{{parts.grid(output)}, {}, {}};
  std::string marks;
  std::vector<image::Picture> seen;
  std::vector<at::Tensor> references;
  for (const auto& picture : request.images) {
    marks += "Picture " + std::to_string(seen.size() + 1) + ": " + kPictureMark;
    const auto condition = image::dimensions_for_area(run.settings().condition_area, image::ratio(picture));
    seen.push_back(image::resize_lanczos(picture, condition.width, condition.height));
    scene.grids.push_back(parts.grid(run.reference_size(picture)));
  }
  if (request.mask) scene.source = run.start_from(first, output);
  run.read_prompts(kInstruct, marks, seen, scene.grids);
  for (const auto& picture : request.images) references.push_back(run.encode(picture, run.reference_size(picture)));
  scene.references = at::cat(references, 1);
  return run.paint(scene);
}

}  // namespace holdall::runtime::pipelines
