// What a bundle needs of the driver and the devices, against what a host has. No file is read here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/doctor.h"

namespace holdall::launcher {

// The driver's versions, as far as they are known.
struct DriverVersions {
  std::optional<std::string> driver, driver_source;  // "535.288.01", "/sys/module/nvidia/version"
  std::optional<std::string> cuda, cuda_source;      // "12.2"
  bool cuda_overridden = false;                      // CONDA_OVERRIDE_CUDA: counts instead of the driver's version

  std::string text() const;  // "535.288.01, CUDA 12.2"
};

// The driver floor. `need` null: the host alone.
Check check_driver(const DriverVersions& found, const bundle::CudaRequirement* need);

// PTX that the driver must compile. nullopt: the bundle says nothing of PTX, or its machine code covers every device.
std::optional<Check> check_ptx(const DriverVersions& found, const bundle::CudaRequirement& need,
                               const std::vector<Device>& devices);

// Machine code or PTX for the devices, per gating library. One device that is covered is enough; others are a warning.
std::optional<Check> check_coverage(const DriverVersions& found, const bundle::CudaRequirement& need,
                                    const std::vector<Device>& devices);

// Does a cubin ("75", "90a", "100f") run on a capability ("8.6")? Plain: same major, device's minor not smaller; 'a':
// that device only; 'f': its family.
bool cubin_runs(const std::string& cubin, const std::string& capability);

// Is a PTX target ("90", "90a") not above a capability?
bool ptx_fits(const std::string& target, const std::string& capability);

// "GPU0 Tesla V100 (sm_70)"
std::string device_label(const Device& device);

}  // namespace holdall::launcher
