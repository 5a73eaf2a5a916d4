// Asks the driver itself, through holdall-probe: what it is, which devices it sees, and whether each does what it is
// told.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/doctor.h"
#include "launcher/doctor/probe_process.h"

namespace holdall::launcher {

struct CudaReport : ProbeRun {
  std::string stage;                      // of a crash or timeout: what it was doing, e.g. "cuInit"
  std::optional<std::string> load_error;  // dlopen's words
  std::optional<int> cuda_version;        // 12020 is 12.2
  std::string failed_call;                // the first driver call that failed, and its CUresult
  int failed_result = 0;
  std::vector<Device> devices;

  bool initialised() const { return end == End::kFinished && !load_error && failed_call.empty(); }
};

// Of options.library, a libcuda. Throws nothing.
CudaReport probe_cuda(const ProbeOptions& options);

}  // namespace holdall::launcher
