// What a host shows of its NVIDIA GPUs and their driver, before anything of CUDA runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/host.h"

namespace holdall::launcher {

struct GpuFacts {
  struct PciDevice {
    std::string address;  // "0000:01:00.0"
    std::string driver;   // the kernel driver that holds it: "nvidia", "nouveau", "vfio-pci"; empty: none
  };
  struct Node {
    std::string path;
    int error = 0;      // errno of opening it
    std::string owner;  // "mode 0660, owner 0, group 44"; empty if it does not exist
  };

  std::vector<PciDevice> pci;       // display controllers of vendor 0x10de
  std::vector<std::string> models;  // names that the kernel driver gives, by index
  bool wsl = false, dxg = false;    // a WSL kernel; its GPU device
  bool container = false;
  bool nouveau = false, nvidia = false;              // kernel modules
  std::optional<std::string> driver, driver_source;  // version of the kernel driver
  bool open_module = false;
  std::vector<Node> control;  // /dev/nvidiactl, /dev/nvidia-uvm
  std::vector<Node> gpus;     // /dev/nvidia0, …
  std::vector<Node> caps;     // /dev/nvidia-caps/…: the instances of MIG

  bool any_gpu() const { return !pci.empty() || !gpus.empty() || !models.empty() || dxg; }
};

GpuFacts observe_gpus(const Host& host);

}  // namespace holdall::launcher
