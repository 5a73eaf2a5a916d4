#include "launcher/doctor/nvml_probe.h"

#include <nlohmann/json.hpp>

namespace holdall::launcher {

NvmlReport probe_nvml(const ProbeOptions& options) {
  NvmlReport report;
  static_cast<ProbeRun&>(report) = run_probe("nvml", options, [&](const nlohmann::json& line) {
    if (line.at("event") != "state") return;
    DeviceState device;
    device.uuid = line.value("uuid", "");
    if (line.contains("compute_mode")) device.compute_mode = line["compute_mode"].get<int>();
    device.mig = line.value("mig", 0) != 0;
    device.instances = line.value("instances", 0u);
    device.uncorrected_errors = line.value("uncorrected", std::uint64_t{0});
    device.remap_pending = line.value("remap_pending", 0) != 0;
    device.remap_failed = line.value("remap_failed", 0) != 0;
    if (line.contains("free_bytes")) device.free_bytes = line["free_bytes"].get<std::uint64_t>();
    report.devices.push_back(std::move(device));
  });
  return report;
}

}  // namespace holdall::launcher
