// What a CUresult of the driver means for somebody who has to do something about it.
#pragma once

#include <string>

namespace holdall::launcher {

struct CudaError {
  int result;
  const char* code;  // E_…
  const char* name;  // CUDA_ERROR_…
  const char* why;
  const char* fix;
};

// The explanation of a CUresult; for one that is not in the table, that of a general failure to initialise.
const CudaError& explain_cuda_error(int result);

}  // namespace holdall::launcher
