// The devices as they are at the moment: what CUDA's trial and the management library say of them. No file is read
// here. One device that can be used is enough; what is wrong with others is a warning.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "launcher/doctor.h"
#include "launcher/doctor/nvml_probe.h"

namespace holdall::launcher {

// Does each device's compute mode admit a process? nullopt: not known.
std::optional<Check> check_compute_mode(const std::vector<Device>& devices, const std::vector<DeviceState>& states);

// What became of the trials, but on devices that admit no process. nullopt: none was made.
std::optional<Check> check_trials(const std::vector<Device>& devices, const std::vector<DeviceState>& states,
                                  bool service_runs);

// MIG that is on and has no instance: no program can use such a device. nullopt: there is none.
std::optional<Check> check_mig(const std::vector<Device>& devices, const std::vector<DeviceState>& states);

// Memory errors that ECC could not correct, and rows that wait for replacement: a warning. nullopt: nothing is known.
std::optional<Check> check_health(const std::vector<Device>& devices, const std::vector<DeviceState>& states);

// Free memory, where it is known, against `need` in bytes. nullopt: no device.
std::optional<Check> check_gpu_memory(const std::vector<Device>& devices, const std::vector<DeviceState>& states,
                                      std::uint64_t need, bool service_runs);

}  // namespace holdall::launcher
