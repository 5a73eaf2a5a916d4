// Edits what the service sends with a pipeline that is loaded. Knows nothing of libtorch.
#pragma once

#include <cstdint>

#include "runtime/pipelines/pipeline.h"
#include "runtime/worker/provenance.h"

namespace holdall::runtime::worker {

struct EditLoopOptions {
  Origin origin;                 // what PNGs say of their making
  std::uint64_t max_pixels = 0;  // of a picture that comes in, besides the request's own limit
};

// Until "stop", or until the service is gone; what runs is finished after "stop" and cancelled when nobody is left. A
// failed edit is an "error" frame and the loop goes on. Throws runtime::Error{kInternal} if the service cannot be
// written to.
void edit_loop(int fd, pipelines::Pipeline& pipeline, const EditLoopOptions& options);

}  // namespace holdall::runtime::worker
