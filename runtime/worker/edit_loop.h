// Edits what the service sends with a pipeline that is loaded. Knows nothing of libtorch.
#pragma once

#include <cstdint>

#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::worker {

// Until "stop", or until the service is gone; what runs is finished after "stop" and cancelled when nobody is left.
// `max_pixels`: of a picture that comes in, besides the request's own limit. A failed edit is an "error" frame and the
// loop goes on. Throws runtime::Error{kInternal} if the service cannot be written to.
void edit_loop(int fd, pipelines::Pipeline& pipeline, std::uint64_t max_pixels);

}  // namespace holdall::runtime::worker
