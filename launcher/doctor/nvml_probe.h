// Asks the driver's management library (NVML, libnvidia-ml.so.1), through holdall-probe, what CUDA does not tell: it
// sees devices that CUDA may not use, too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launcher/doctor/probe_process.h"

namespace holdall::launcher {

// What a device does not have is absent or false.
struct DeviceState {
  enum ComputeMode { kDefault = 0, kExclusiveThread = 1, kProhibited = 2, kExclusiveProcess = 3 };  // nvmlComputeMode_t
  std::string uuid;  // "GPU-…", as CUDA says it
  std::optional<int> compute_mode;
  bool mig = false;                      // Multi-Instance GPU is on
  unsigned instances = 0;                // of MIG
  std::uint64_t uncorrected_errors = 0;  // of ECC, since the driver was loaded
  bool remap_pending = false;            // memory rows wait for a reset to be replaced
  bool remap_failed = false;             // and could not be
  std::optional<std::uint64_t> free_bytes;
};

struct NvmlReport : ProbeRun {
  std::vector<DeviceState> devices;
};

// Of options.library. Throws nothing.
NvmlReport probe_nvml(const ProbeOptions& options);

}  // namespace holdall::launcher
