// Where a model computes and in what precision, from the words of the command line.
#pragma once

#include <ATen/core/Tensor.h>

#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::pipelines {

struct Placement {
  at::Device device;
  at::ScalarType dtype;
};

// "auto" is the first CUDA device if there is one, else the CPU. CUDA's half of libtorch is loaded here, on demand, so
// that a machine without a driver runs on the CPU. Throws runtime::Error{kBadRequest} for an unknown word or a device
// that is not there, saying why.
Placement place(const LoadOptions& options);

// Calls `work`, turning libtorch's exceptions into runtime::Error{kOutOfMemory, kInternal}.
void translating_errors(const std::function<void()>& work);

}  // namespace holdall::runtime::pipelines
