// A picture on a larger canvas, and the mask of what is to be painted around it.
#pragma once

#include "runtime/image/resize.h"
#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::pipelines {

struct Canvas {
  image::Size size;  // whole tokens
  int grain;         // pixels of a latent pixel's side: one that is not wholly within the picture is painted
};

// `request` with its first picture at its anchor on `canvas`, its edges drawn out over the rest, and a mask of that
// rest; strength is 1 unless it says otherwise, since what is there is made up. Throws runtime::Error{kBadRequest}
// where the picture does not fit, nothing is left to paint, or the request has a mask already.
Request outpaint(const Request& request, const Canvas& canvas);

}  // namespace holdall::runtime::pipelines
