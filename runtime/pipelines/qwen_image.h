// The pipelines of the Qwen-Image family, each as diffusers' class of the same name. The request chooses between those
// that one checkpoint can run. All throw runtime::Error as Pipeline::run() does.
#pragma once

#include "runtime/pipelines/parts.h"
#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::pipelines {

// QwenImagePipeline without a picture, QwenImageImg2ImgPipeline with one, QwenImageInpaintPipeline with a mask, too:
// Qwen-Image and Qwen-Image-2512.
Result qwen_image(const Parts& parts, const Request& request);

// QwenImageEditPipeline, QwenImageEditInpaintPipeline with a mask: Qwen-Image-Edit (2508), one picture.
Result qwen_image_edit(const Parts& parts, const Request& request);

// QwenImageEditPlusPipeline, for one or several pictures: Qwen-Image-Edit-2509 and 2511. With a mask, of the first
// picture, what docs/decisions/0010-a-mask-with-edit-plus.md says.
Result qwen_image_edit_plus(const Parts& parts, const Request& request);

}  // namespace holdall::runtime::pipelines
