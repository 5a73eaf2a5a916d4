#include "launcher/doctor/cuda_probe.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace holdall::launcher {
namespace {

void take(const nlohmann::json& line, CudaReport& report) {
  const std::string event = line.at("event");
  if (event == "loading") report.stage = "loading libcuda";
  if (event == "loaded") report.stage = "cuDriverGetVersion";
  if (event == "init") report.stage = "cuInit";
  if (event == "initialised") report.stage = "listing the devices";
  if (event == "load_failed") report.load_error = line.value("message", "");
  if (event == "version" && line.value("result", -1) == 0) report.cuda_version = line.value("version", 0);
  if (event == "failed" && report.failed_call.empty()) {
    report.failed_call = line.value("call", "");
    report.failed_result = line.value("result", -1);
  }
  if (event == "device")
    report.devices.push_back({.index = line.value("index", 0),
                              .name = line.value("name", ""),
                              .uuid = line.value("uuid", ""),
                              .capability = line.value("capability", ""),
                              .memory_bytes = line.value("memory_bytes", std::uint64_t{0})});
  if (event == "trying") report.stage = "writing to the memory of GPU" + std::to_string(line.value("index", 0));
  if (event == "tried") {
    const auto device = std::find_if(report.devices.begin(), report.devices.end(),
                                     [&](const Device& one) { return one.index == line.value("index", -1); });
    if (device == report.devices.end()) return;
    device->trial = Trial{line.value("call", ""), line.value("result", -1)};
    if (const std::uint64_t free = line.value("free_bytes", std::uint64_t{0}); free > 0) device->free_bytes = free;
  }
}

}  // namespace

CudaReport probe_cuda(const ProbeOptions& options) {
  CudaReport report;
  static_cast<ProbeRun&>(report) = run_probe("cuda", options, [&](const nlohmann::json& line) { take(line, report); });
  return report;
}

}  // namespace holdall::launcher
