#include "launcher/doctor/gpu_facts.h"

#include <algorithm>
#include <cstdio>

#include "launcher/doctor/version.h"

namespace holdall::launcher {
namespace {

constexpr const char* kPci = "/sys/bus/pci/devices";
constexpr const char* kVersionFile = "/proc/driver/nvidia/version";
constexpr const char* kGpuFolder = "/proc/driver/nvidia/gpus";

std::string first_word(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_first_of(" \t\r\n", begin) - begin);
}

bool contains(const std::optional<std::string>& text, const char* word) {
  return text && text->find(word) != std::string::npos;
}

// Class 0x03 is a display controller: not the GPU's sound device, nor an NVSwitch.
void observe_pci(const Host& host, GpuFacts& facts) {
  for (const std::string& address : host.list(kPci)) {
    const std::string folder = std::string(kPci) + "/" + address;
    if (first_word(host.read(folder + "/vendor").value_or("")) != "0x10de") continue;
    const auto device_class = host.read(folder + "/class");
    if (device_class && first_word(*device_class).compare(0, 4, "0x03") != 0) continue;
    facts.pci.push_back({address, host.link_name(folder + "/driver").value_or("")});
  }
}

GpuFacts::Node observe_node(const Host& host, const std::string& path) {
  GpuFacts::Node node{path, host.open_error(path), {}};
  if (const auto status = host.status(path)) {
    char text[80];
    std::snprintf(text, sizeof text, "mode %04o, owner %u, group %u", static_cast<unsigned>(status->mode & 07777),
                  static_cast<unsigned>(status->owner), static_cast<unsigned>(status->group));
    node.owner = text;
  }
  return node;
}

void observe_nodes(const Host& host, GpuFacts& facts) {
  facts.control = {observe_node(host, "/dev/nvidiactl"), observe_node(host, "/dev/nvidia-uvm")};
  for (const std::string& name : host.list("/dev")) {
    const std::string index = name.compare(0, 6, "nvidia") == 0 ? name.substr(6) : "";
    if (!index.empty() && index.find_first_not_of("0123456789") == std::string::npos)
      facts.gpus.push_back(observe_node(host, "/dev/" + name));
  }
  for (const std::string& name : host.list("/dev/nvidia-caps"))
    facts.caps.push_back(observe_node(host, "/dev/nvidia-caps/" + name));
}

void observe_driver(const Host& host, GpuFacts& facts) {
  const auto report = host.read(kVersionFile);
  facts.open_module = contains(report, "Open Kernel Module");
  if (const auto text = host.read("/sys/module/nvidia/version")) {
    facts.driver = find_version(*text);
    if (facts.driver) facts.driver_source = "/sys/module/nvidia/version";
  }
  if (!facts.driver && report) {
    facts.driver = find_version(*report);
    if (facts.driver) facts.driver_source = kVersionFile;
  }
  facts.nvidia = report || host.exists("/sys/module/nvidia");
  facts.nouveau = host.exists("/sys/module/nouveau") ||
                  std::any_of(facts.pci.begin(), facts.pci.end(), [](const auto& d) { return d.driver == "nouveau"; });
  for (const std::string& address : host.list(kGpuFolder)) {
    const std::string text = host.read(std::string(kGpuFolder) + "/" + address + "/information").value_or("");
    const std::size_t begin = text.find("Model:");
    if (begin == std::string::npos) continue;
    const std::string line = text.substr(begin + 6, text.find('\n', begin) - begin - 6);
    const std::size_t name = line.find_first_not_of(" \t");
    if (name != std::string::npos) facts.models.push_back(line.substr(name));
  }
}

}  // namespace

GpuFacts observe_gpus(const Host& host) {
  GpuFacts facts;
  observe_pci(host, facts);
  facts.dxg = host.exists("/dev/dxg");
  facts.wsl = facts.dxg || contains(host.read("/proc/sys/kernel/osrelease"), "icrosoft");
  const auto cgroup = host.read("/proc/1/cgroup");
  facts.container = host.exists("/.dockerenv") || host.exists("/run/.containerenv") ||
                    host.exists("/var/run/secrets/kubernetes.io") || contains(cgroup, "docker") ||
                    contains(cgroup, "kubepods") || contains(cgroup, "/lxc");
  observe_nodes(host, facts);
  observe_driver(host, facts);
  return facts;
}

}  // namespace holdall::launcher
