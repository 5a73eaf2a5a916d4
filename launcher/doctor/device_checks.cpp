#include "launcher/doctor/device_checks.h"

#include <algorithm>

#include "launcher/doctor/cuda_errors.h"
#include "launcher/doctor/cuda_need.h"
#include "launcher/doctor/examination.h"

namespace holdall::launcher {
namespace {

const DeviceState* state_of(const Device& device, const std::vector<DeviceState>& states) {
  const auto state = std::find_if(states.begin(), states.end(),
                                  [&](const DeviceState& one) { return !one.uuid.empty() && one.uuid == device.uuid; });
  return state == states.end() ? nullptr : &*state;
}

std::string label_of(const DeviceState& state, const std::vector<Device>& devices) {
  const auto device =
      std::find_if(devices.begin(), devices.end(), [&](const Device& one) { return one.uuid == state.uuid; });
  return device == devices.end() ? state.uuid : device_label(*device);
}

bool is_prohibited(const Device& device, const std::vector<DeviceState>& states) {
  const DeviceState* state = state_of(device, states);
  return state != nullptr && state->compute_mode == DeviceState::kProhibited;
}

void append(std::string& list, const std::string& word) {
  list += (list.empty() ? "" : ", ") + word;
}

constexpr const char* kAnother = "choose another device with --device";

}  // namespace

std::optional<Check> check_compute_mode(const std::vector<Device>& devices, const std::vector<DeviceState>& states) {
  const auto known = [&](const Device& device) {
    const DeviceState* state = state_of(device, states);
    return state != nullptr && state->compute_mode;
  };
  if (std::none_of(devices.begin(), devices.end(), known)) return std::nullopt;
  Check check{.id = "compute_mode", .source = "nvmlDeviceGetComputeMode"};
  std::size_t closed = 0;
  for (const Device& device : devices) {
    if (!is_prohibited(device, states)) continue;
    ++closed;
    append(check.found, device_label(device));
  }
  if (closed == 0) {
    check.found = "processes are admitted";
    return check;
  }
  check.status = closed == devices.size() ? Status::kFail : Status::kWarn;
  check.code = "E_DEVICE_BUSY";
  check.found = "Prohibited: " + check.found;
  check.need = "compute mode Default or Exclusive_Process";
  check.why = "the device admits no process";
  check.fix = std::string("admin: nvidia-smi -c DEFAULT") + (check.status == Status::kWarn ? "; or " : "") +
              (check.status == Status::kWarn ? kAnother : "");
  return check;
}

std::optional<Check> check_trials(const std::vector<Device>& devices, const std::vector<DeviceState>& states,
                                  bool service_runs) {
  Check check{.id = "smoke", .source = "memory written and read back"};
  bool tried = false, works = false;
  for (const Device& device : devices) {
    // A result below zero is no answer of the driver: an older one that lacks the call.
    if (!device.trial || device.trial->result < 0 || is_prohibited(device, states)) continue;
    tried = true;
    if (device.trial->call.empty()) {
      works = true;
      if (check.code.empty()) append(check.found, device_label(device));
      continue;
    }
    const int result = device.trial->result;
    const CudaError& error = explain_cuda_error(result);
    if (check.code.empty()) {
      check.found.clear();
      check.code = result == 0 || std::string_view(error.code) == "E_CUDA_INIT" ? "E_SMOKE" : error.code;
      check.why = result == 0 ? "what was read is not what was written" : error.why;
      check.fix = check.code == "E_SMOKE"
                      ? "admin: look for NVRM and Xid messages in the kernel log, then reset the GPU (nvidia-smi -r)"
                      : error.fix;
    }
    append(check.found, device_label(device) + ": " + device.trial->call +
                            (result == 0 ? "" : ": " + std::string(error.name) + " (" + std::to_string(result) + ")"));
  }
  if (!tried) return std::nullopt;
  if (check.code.empty()) return check;
  check.need = "a device that takes memory and runs a kernel";
  const bool taken = check.code == "E_DEVICE_BUSY" || check.code == "E_GPU_MEMORY";
  check.status = works || (taken && service_runs) ? Status::kWarn : Status::kFail;
  if (works) check.fix += std::string("; or ") + kAnother;
  if (!works && check.status == Status::kWarn)
    check.note = "the service that runs here holds the device, and is to be replaced";
  return check;
}

std::optional<Check> check_mig(const std::vector<Device>& devices, const std::vector<DeviceState>& states) {
  Check check{.id = "mig", .source = "nvmlDeviceGetMigMode"};
  for (const DeviceState& state : states)
    if (state.mig && state.instances == 0) append(check.found, label_of(state, devices));
  if (check.found.empty()) return std::nullopt;
  check.status = devices.empty() ? Status::kFail : Status::kWarn;
  check.code = "E_NO_GPU";
  check.found = "MIG is on, without an instance: " + check.found;
  check.need = "a MIG instance";
  check.why = "in MIG mode programs see instances only";
  check.fix = "admin: make instances (nvidia-smi mig -cgi … -C), or turn MIG off (nvidia-smi -mig 0)";
  return check;
}

std::optional<Check> check_health(const std::vector<Device>& devices, const std::vector<DeviceState>& states) {
  if (states.empty()) return std::nullopt;
  Check check{.id = "gpu_health", .source = "NVML"};
  for (const DeviceState& state : states) {
    std::string ills;
    if (state.uncorrected_errors > 0)
      append(ills, std::to_string(state.uncorrected_errors) + " uncorrected memory errors");
    if (state.remap_pending) append(ills, "memory rows wait to be replaced");
    if (state.remap_failed) append(ills, "memory rows could not be replaced");
    if (ills.empty()) continue;
    append(check.found, label_of(state, devices) + ": " + ills);
    check.fix = "admin: reset the GPU (nvidia-smi -r) or reboot; if it comes again, have the device replaced";
    check.why = "its memory has failed, and may again";
    check.status = Status::kWarn;
  }
  if (check.status == Status::kOk) check.found = "no uncorrected memory errors";
  return check;
}

std::optional<Check> check_gpu_memory(const std::vector<Device>& devices, const std::vector<DeviceState>& states,
                                      std::uint64_t need, bool service_runs) {
  if (devices.empty()) return std::nullopt;
  const auto free_of = [&](const Device& device) -> std::optional<std::uint64_t> {
    if (device.free_bytes) return device.free_bytes;
    const DeviceState* state = state_of(device, states);
    return state == nullptr ? std::nullopt : state->free_bytes;
  };
  const auto usable = [&](const Device& device) { return free_of(device).value_or(device.memory_bytes); };
  const Device& best = *std::max_element(devices.begin(), devices.end(),
                                         [&](const Device& a, const Device& b) { return usable(a) < usable(b); });
  Check check{.id = "gpu_memory", .found = format_bytes(best.memory_bytes), .source = device_label(best)};
  if (const auto free = free_of(best)) check.found = format_bytes(*free) + " free of " + check.found;
  if (need == 0) return check;
  check.need = ">=" + format_bytes(need);
  check.why = "weights and the largest activations";
  if (usable(best) >= need) return check;
  check.status = Status::kFail;
  check.code = "E_GPU_MEMORY";
  check.fix = "use a device with more memory";
  const bool enough =
      std::any_of(devices.begin(), devices.end(), [&](const Device& one) { return one.memory_bytes >= need; });
  if (!enough) return check;
  check.fix = "stop what uses the GPU (nvidia-smi lists it), or use another device";
  if (service_runs) {
    check.status = Status::kWarn;
    check.note = "the service that runs here holds memory, and is to be replaced";
  }
  return check;
}

}  // namespace holdall::launcher
