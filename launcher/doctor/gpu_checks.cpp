// The driver's stack from the bottom up: hardware, kernel module, device nodes, versions, libcuda; then the driver's
// own word from the probe. The first broken layer is the finding, and what stands on it is not judged: one cause, one
// refusal.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "launcher/doctor/cuda_errors.h"
#include "launcher/doctor/cuda_need.h"
#include "launcher/doctor/cuda_probe.h"
#include "launcher/doctor/device_checks.h"
#include "launcher/doctor/driver_table.h"
#include "launcher/doctor/examination.h"
#include "launcher/doctor/gpu_facts.h"
#include "launcher/doctor/libcuda.h"
#include "launcher/doctor/library_search.h"
#include "launcher/doctor/nvml_probe.h"
#include "launcher/doctor/version.h"

namespace holdall::launcher {
namespace {

using End = ProbeRun::End;

class GpuExamination {
 public:
  GpuExamination(const Examination& exam, std::vector<Device>& devices)
      : exam_(exam),
        need_(exam.info && exam.info->requires_host.cuda ? &*exam.info->requires_host.cuda : nullptr),
        facts_(observe_gpus(exam.host)),
        devices_(devices) {}

  std::vector<Check> run() {
    if (exam_.info && !need_) {
      add({.id = "gpu", .status = Status::kSkip, .found = "the bundle does not use CUDA"});
      return checks_;
    }
    override_cuda_ = exam_.variable("CONDA_OVERRIDE_CUDA");
    if (!check_gpu() || !check_module()) return checks_;
    check_nodes();
    libcuda_ = find_libcuda(exam_.host, {exam_.options.libcuda, exam_.options.root, exam_.arch});
    if (libcuda_.chosen) probe();
    const DriverVersions versions = driver_versions();
    add(judge_driver(versions));
    check_libcuda();
    if (libcuda_.chosen) {
      check_match();
      check_probe();
      check_visible();
      check_mps();
    }
    check_devices();
    if (!need_) return checks_;
    if (auto ptx = check_ptx(versions, *need_, devices_)) add(*ptx);
    if (auto coverage = check_coverage(versions, *need_, devices_)) add(*coverage);
    return checks_;
  }

 private:
  // The one place where a finding becomes what it means for this bundle.
  void add(Check check) {
    const bool wrong = check.status == Status::kFail;
    if (wrong && check.subject.empty()) check.subject = subject();
    if (need_ && (wrong || check.status == Status::kSkip)) {
      if (exam_.options.allow_cpu) {
        if (wrong) {
          check.status = Status::kWarn;
          check.note = "CPU fallback: allowed";
        } else {
          check.need.clear();
        }
      } else if (wrong) {
        check.fix += (check.fix.empty() ? "" : "; ") + std::string("or run on the CPU with --allow-cpu");
        check.note += (check.note.empty() ? "" : ". ") + std::string("CPU fallback: disabled");
      }
    }
    checks_.push_back(std::move(check));
  }

  std::string subject() const {
    if (!devices_.empty()) return device_label(devices_.front());
    if (!facts_.models.empty()) return "GPU0 " + facts_.models.front();
    return facts_.pci.empty() ? "" : "GPU " + facts_.pci.front().address;
  }

  std::string needed_gpu() const {
    if (!need_) return "";
    const Check driver = check_driver({}, need_);
    return "an NVIDIA GPU with driver " + driver.need;
  }
  std::string needed_why() const { return need_ ? check_driver({}, need_).why : ""; }

  bool check_gpu() {
    Check check{.id = "gpu", .source = "/sys/bus/pci/devices", .need = needed_gpu(), .why = needed_why()};
    if (override_cuda_ && override_cuda_->empty()) {
      check.found = "CUDA is hidden";
      check.source = "CONDA_OVERRIDE_CUDA";
      check.fix = "unset CONDA_OVERRIDE_CUDA";
    } else if (!facts_.any_gpu()) {
      check.found = facts_.wsl ? "no GPU in WSL" : "no NVIDIA GPU";
      if (facts_.wsl) check.source = "/dev/dxg";
      check.fix = facts_.wsl         ? "install NVIDIA's driver in Windows, and run wsl --update"
                  : facts_.container ? "use a host with an NVIDIA GPU, and give it to the container"
                                     : "use a host with an NVIDIA GPU";
    } else {
      check.found =
          facts_.dxg
              ? "GPU of Windows"
              : std::to_string(std::max({facts_.pci.size(), facts_.gpus.size(), facts_.models.size()})) + " NVIDIA";
      if (facts_.dxg)
        check.source = "/dev/dxg";
      else if (facts_.pci.empty())
        check.source = facts_.gpus.empty() ? "/proc/driver/nvidia/gpus" : "/dev";
      add(check);
      return true;
    }
    check.status = exam_.info ? Status::kFail : Status::kWarn;
    check.code = "E_NO_GPU";
    add(check);
    return false;
  }

  bool check_module() {
    if (facts_.wsl) return true;  // its kernel driver is Windows'
    Check check{
        .id = "kernel_module", .found = "nvidia", .source = facts_.driver_source.value_or("/sys/module/nvidia")};
    if (facts_.nvidia) {
      if (facts_.open_module) check.found += ", open kernel module";
      add(check);
      return true;
    }
    check.status = Status::kFail;
    check.need = "the kernel module nvidia";
    if (need_) check.need += " " + check_driver({}, need_).need;
    check.why = needed_why();
    check.source = "/sys/module";
    const bool passed_through = !facts_.pci.empty() && facts_.pci.front().driver == "vfio-pci";
    if (facts_.nouveau) {
      check.code = "E_NOUVEAU";
      check.found = "nouveau holds the GPU";
      check.fix = "admin: install NVIDIA's driver, blacklist nouveau and reboot";
    } else if (passed_through) {
      check.code = "E_DRIVER_NOT_LOADED";
      check.found = "vfio-pci holds the GPU for a virtual machine";
      check.source = "/sys/bus/pci/devices/" + facts_.pci.front().address + "/driver";
      check.fix = "run it in that virtual machine; admin: or give the GPU back to the host";
    } else {
      check.code = "E_DRIVER_NOT_LOADED";
      check.found = "an NVIDIA GPU, but no kernel module for it";
      check.fix =
          "admin: modprobe nvidia, or install NVIDIA's driver (after a kernel update: rebuild it by dkms autoinstall)";
    }
    add(check);
    return false;
  }

  void check_nodes() {
    if (facts_.wsl) return;
    Check check{
        .id = "device_nodes", .source = "/dev", .need = "/dev/nvidiactl, /dev/nvidia-uvm and one of /dev/nvidia<N>"};
    std::vector<GpuFacts::Node> broken;
    for (const auto& node : facts_.control)
      if (node.error != 0) broken.push_back(node);
    const bool any =
        std::any_of(facts_.gpus.begin(), facts_.gpus.end(), [](const auto& node) { return node.error == 0; });
    if (facts_.gpus.empty()) broken.push_back({"/dev/nvidia0", ENOENT, {}});
    if (!any) broken.insert(broken.end(), facts_.gpus.begin(), facts_.gpus.end());
    check.found = std::to_string(facts_.gpus.size()) + " GPUs";
    if (broken.empty()) {
      check.need.clear();
      return add(check);
    }
    const auto is_denied = [](const auto& node) { return node.error == EACCES || node.error == EPERM; };
    const auto denied = std::find_if(broken.begin(), broken.end(), is_denied);
    check.status = Status::kFail;
    check.found.clear();
    for (const auto& node : broken)
      check.found += (check.found.empty() ? "" : ", ") + node.path + ": " + std::strerror(node.error) +
                     (node.owner.empty() ? "" : " (" + node.owner + ")");
    check.why = "the driver is reached through them";
    if (denied != broken.end()) {
      check.code = "E_DEVICE_PERMISSION";
      // EPERM is a control group's answer, EACCES the file's.
      check.fix = denied->error == EPERM
                      ? "ask the container or the job for a GPU (docker run --gpus all, --gres=gpu:1)"
                      : "admin: add the user to the nodes' group, or set the module's NVreg_DeviceFileMode=0666";
    } else {
      check.code = "E_DEVICE_MISSING";
      check.fix = facts_.container ? "start the container with its GPUs (NVIDIA Container Toolkit: --gpus all)"
                                   : "admin: nvidia-modprobe -u -c 0";
    }
    add(check);
  }

  void probe() {
    ProbeOptions options;
    options.library = libcuda_.chosen->openable;
    options.timeout = exam_.options.probe_timeout;
    options.environment = exam_.environment;
    options.folders = {exam_.variable("XDG_RUNTIME_DIR").value_or(""), exam_.options.root,
                       exam_.variable("TMPDIR").value_or("/tmp")};
    probe_ = probe_cuda(options);
    devices_ = probe_.devices;
    const auto management = find_library(exam_.host, "libnvidia-ml.so.1",
                                         {"/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib64/nvidia",
                                          "/usr/lib/wsl/lib", "/run/opengl-driver/lib"});
    // A driver that hangs would once more.
    if (management.empty() || probe_.end == End::kTimedOut) return;
    options.library = exam_.host.outside(exam_.host.real_path(management.front()).value_or(management.front()));
    nvml_ = probe_nvml(options);
  }

  // A libcuda for older kernel drivers is newer than this one.
  bool is_forward() const {
    return libcuda_.chosen && libcuda_.chosen->compatibility && libcuda_.chosen->version && facts_.driver &&
           version_less(*facts_.driver, *libcuda_.chosen->version);
  }

  Check judge_driver(const DriverVersions& versions) const {
    Check check = check_driver(versions, need_);
    if (!is_forward()) {
      if (check.status == Status::kFail) check.note = "not tried: forward compatibility (no package given)";
      return check;
    }
    const std::vector<int>& branches = libcuda_.chosen->compatibility->branches;
    const int branch = parse_version(*facts_.driver)->parts[0];
    check.note = "forward compatibility: libcuda " + *libcuda_.chosen->version + " on kernel driver " + *facts_.driver;
    if (branches.empty() || std::find(branches.begin(), branches.end(), branch) != branches.end()) return check;
    check.status = Status::kFail;
    check.code = "E_COMPAT_UNSUPPORTED";
    check.found = "kernel driver " + *facts_.driver;
    check.source = facts_.driver_source.value_or("");
    check.need = "a kernel driver of branch ";
    for (const int& one : branches) check.need += (&one == branches.data() ? "" : ", ") + std::to_string(one);
    check.why = libcuda_.chosen->real + " is made for those";
    check.fix = "admin: install a newer driver, or the compatibility package for this branch";
    return check;
  }

  DriverVersions driver_versions() const {
    DriverVersions versions{facts_.driver, facts_.driver_source, {}, {}, false};
    if (libcuda_.chosen && libcuda_.chosen->version && (!versions.driver || is_forward())) {
      versions.driver = libcuda_.chosen->version;
      versions.driver_source = libcuda_.chosen->real;
    }
    if (override_cuda_) {
      versions.cuda = override_cuda_;
      versions.cuda_source = "CONDA_OVERRIDE_CUDA";
      versions.cuda_overridden = true;
    } else if (probe_.cuda_version && *probe_.cuda_version > 0) {
      versions.cuda =
          std::to_string(*probe_.cuda_version / 1000) + "." + std::to_string(*probe_.cuda_version % 1000 / 10);
      versions.cuda_source = "cuDriverGetVersion";
    } else if (versions.driver) {
      versions.cuda = cuda_of_driver(*versions.driver);
      versions.cuda_source = versions.driver_source;
    }
    return versions;
  }

  void check_libcuda() {
    Check check{.id = "libcuda"};
    if (libcuda_.chosen) {
      const Libcuda& library = *libcuda_.chosen;
      check.found = library.real;
      check.source = exam_.options.libcuda.empty() ? library.path : "--libcuda";
      const auto glibc = exam_.used_glibc();
      if (library.glibc && glibc && version_less(*glibc, *library.glibc)) {
        check.status = Status::kFail;
        check.code = "E_GLIBC_TOO_OLD";
        const bool own = exam_.libc_choice == bundle::LibcChoice::kBundled;
        check.found += " on " + std::string(own ? "the bundled " : "") + "glibc " + *glibc;
        check.need = "glibc >=" + *library.glibc;
        check.why = "the driver's library asks for it";
        check.fix = own ? "leave out --libc bundled, or use a bundle that was packed on a newer distribution"
                        : "admin: install the driver's package for this distribution";
      }
      return add(check);
    }
    check.status = Status::kFail;
    check.code = "E_LIBCUDA_MISSING";
    check.found = "no libcuda.so.1";
    check.source = "ld.so.cache and the library folders";
    check.need = "the driver's libcuda.so.1";
    check.why = "every CUDA program loads it";
    check.fix = facts_.container ? "start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility"
                : facts_.wsl     ? "install NVIDIA's driver in Windows, not in Linux"
                             : "admin: install the user-space part of the driver (libcuda1, nvidia-driver-cuda); or "
                               "name it with --libcuda";
    if (!libcuda_.rejected.empty()) {
      check.code = libcuda_.rejected.front().code;
      check.found.clear();
      check.source.clear();
      for (const RejectedLibcuda& rejected : libcuda_.rejected)
        check.found += (check.found.empty() ? "" : ", ") + rejected.path + ": " + rejected.why;
    }
    add(check);
  }

  void check_match() {
    const auto& user = libcuda_.chosen->version;
    if (!user || !facts_.driver || is_forward()) return;
    Check check{.id = "driver_match", .found = *user, .source = libcuda_.chosen->real, .need = *facts_.driver};
    check.why = "the version of the kernel module, " + facts_.driver_source.value_or("");
    if (compare(*parse_version(*user), *parse_version(*facts_.driver)) != 0) {
      check.found = "libcuda " + *user + ", kernel module " + *facts_.driver;
      check.need = "the same version";
      check.why = "the driver refuses others with error 803";
      check.status = Status::kFail;
      check.code = "E_DRIVER_MISMATCH";
      check.fix = facts_.container
                      ? "restart the container, which got its libraries from another driver; admin: reboot the host"
                      : "admin: reboot, or reload the nvidia modules";
    }
    add(check);
  }

  bool already_wrong() const {
    return std::any_of(checks_.begin(), checks_.end(), [](const Check& check) {
      return !check.code.empty() && (check.id == "device_nodes" || check.id == "driver_match" || check.id == "driver" ||
                                     check.id == "libcuda");
    });
  }

  // The driver works on this machine: what was foreseen from files did not come true (nodes are made on demand, a
  // forward compatibility library has another version on purpose). A captured host's driver proves nothing.
  void forgive_forebodings() {
    if (exam_.host.captured()) return;
    for (Check& check : checks_)
      if (check.id == "device_nodes" || check.id == "driver_match") {
        if (check.status == Status::kFail) check.status = Status::kWarn;
        check.note.clear();
      }
  }

  void check_probe() {
    Check check{.id = "cuda", .source = libcuda_.chosen->real};
    const std::string need = "a driver that initialises";
    if (probe_.end == End::kNotRun) {
      check.status = need_ ? Status::kSkip : Status::kWarn;
      check.found = probe_.detail;
      check.need = need;
      check.source.clear();
      return add(check);
    }
    if (probe_.initialised() && !devices_.empty()) {
      forgive_forebodings();
      for (const Device& device : devices_)
        check.found +=
            (check.found.empty() ? "" : ", ") + device_label(device) + " " + format_bytes(device.memory_bytes);
      return add(check);
    }
    check.status = Status::kFail;
    check.need = need;
    if (probe_.end == End::kTimedOut) {
      check.code = "E_CUDA_TIMEOUT";
      const auto limit = exam_.options.probe_timeout.count();
      check.found = "no answer within " +
                    (limit < 1000 ? std::to_string(limit) + " ms" : std::to_string(limit / 1000) + " s") + ": " +
                    probe_.stage;
      check.why = "a GPU that fell off the bus, or a driver that waits for another process";
      check.fix = "admin: look for Xid messages in the kernel log, then reset the GPU or reboot";
      return add(check);
    }
    if (probe_.end == End::kCrashed) {
      check.code = "E_CUDA_CRASH";
      check.found = probe_.detail + ": " + probe_.stage;
      check.why = "the driver's library crashed";
      check.fix = "admin: reinstall the driver";
      return add(check);
    }
    explain_failure(check);
    // One cause, one refusal.
    if (already_wrong()) {
      check.status = Status::kSkip;
      check.code.clear();
      check.need.clear();
      check.why.clear();
      check.fix.clear();
    }
    add(check);
  }

  void explain_failure(Check& check) const {
    const auto mentions = [this](const char* word) { return probe_.load_error->find(word) != std::string::npos; };
    if (probe_.load_error) {
      check.found = "cannot be loaded: " + *probe_.load_error;
      check.code = mentions("GLIBC_")            ? "E_GLIBC_TOO_OLD"
                   : mentions("wrong ELF class") ? "E_LIBCUDA_WRONG_CLASS"
                   : mentions("cannot open")     ? "E_LIBCUDA_MISSING"
                                                 : "E_CUDA_INIT";
      check.fix = "admin: reinstall the driver's libraries";
      return;
    }
    const auto hidden = exam_.variable("CUDA_VISIBLE_DEVICES");
    const int result = probe_.failed_call.empty() ? 100 : probe_.failed_result;
    const CudaError& error = explain_cuda_error(result);
    check.code = error.code;
    check.why = error.why;
    check.fix = error.fix;
    check.found = probe_.failed_call.empty() ? "no device"
                  : result < 0               ? probe_.failed_call + " is missing from the library"
                               : probe_.failed_call + ": " + error.name + " (" + std::to_string(result) + ")";
    if (check.code != "E_NO_GPU") return;
    if (hidden) check.found += ", CUDA_VISIBLE_DEVICES=" + *hidden;
    if (const auto mig = check_mig(devices_, nvml_.devices)) {
      check.found = mig->found;
      check.source = mig->source;
      check.need = mig->need;
      check.why = mig->why;
      check.fix = mig->fix;
    } else if (std::any_of(nvml_.devices.begin(), nvml_.devices.end(), [](const auto& state) { return state.mig; })) {
      explain_instances(check);
    }
  }

  // Instances of MIG that are there, and are not seen.
  void explain_instances(Check& check) const {
    const auto closed =
        std::find_if(facts_.caps.begin(), facts_.caps.end(), [](const auto& node) { return node.error != 0; });
    if (!facts_.caps.empty() && closed == facts_.caps.end()) return;
    check.source = "/dev/nvidia-caps";
    check.why = "the instances of MIG are reached through its nodes";
    if (facts_.caps.empty()) {
      check.code = "E_DEVICE_MISSING";
      check.found = "instances of MIG, and no /dev/nvidia-caps";
      check.fix = facts_.container ? "start the container with the instance (--gpus device=0:0, or its MIG UUID)"
                                   : "admin: nvidia-modprobe -f /proc/driver/nvidia/capabilities/mig/config";
    } else {
      check.code = "E_DEVICE_PERMISSION";
      check.found = closed->path + ": " + std::strerror(closed->error) +
                    (closed->owner.empty() ? "" : " (" + closed->owner + ")");
      check.fix = "admin: give the user or the container access to the nodes of the instance";
    }
  }

  void check_visible() {
    const auto visible = exam_.variable("CUDA_VISIBLE_DEVICES");
    if (!visible || devices_.empty() || devices_.size() >= facts_.gpus.size()) return;
    add({.id = "visible_devices",
         .status = Status::kWarn,
         .found = std::to_string(devices_.size()) + " of " + std::to_string(facts_.gpus.size()) + " GPUs",
         .source = "CUDA_VISIBLE_DEVICES=" + *visible,
         .fix = "unset CUDA_VISIBLE_DEVICES to use them all"});
  }

  void check_mps() {
    const auto folder = exam_.variable("CUDA_MPS_PIPE_DIRECTORY");
    if (!folder || folder->empty()) return;
    Check check{.id = "mps", .found = "programs share the GPU through " + *folder, .source = "CUDA_MPS_PIPE_DIRECTORY"};
    if (!exam_.host.exists(*folder + "/control")) {
      check.status = Status::kWarn;
      check.found = "no MPS server in " + *folder;
      check.fix = "unset CUDA_MPS_PIPE_DIRECTORY; or admin: start nvidia-cuda-mps-control";
    }
    add(check);
  }

  void check_devices() {
    if (nvml_.end == End::kCrashed || nvml_.end == End::kTimedOut)
      add({.id = "nvml",
           .status = Status::kWarn,
           .found = nvml_.end == End::kCrashed ? nvml_.detail : "no answer",
           .source = "libnvidia-ml.so.1",
           .fix = "admin: reinstall the driver"});
    if (devices_.empty()) return;
    const std::vector<DeviceState>& states = nvml_.devices;
    const std::uint64_t memory = exam_.info ? exam_.info->requires_host.gpu_memory_bytes : 0;
    const bool service_runs = exam_.options.service_runs;
    for (auto& check : {check_compute_mode(devices_, states), check_trials(devices_, states, service_runs),
                        check_mig(devices_, states), check_gpu_memory(devices_, states, memory, service_runs),
                        check_health(devices_, states)})
      if (check) add(*check);
  }

  const Examination& exam_;
  const bundle::CudaRequirement* need_;
  const GpuFacts facts_;
  std::vector<Device>& devices_;
  std::optional<std::string> override_cuda_;
  LibcudaSearch libcuda_;
  CudaReport probe_;
  NvmlReport nvml_;
  std::vector<Check> checks_;
};

}  // namespace

std::vector<Check> check_gpus(const Examination& examination, std::vector<Device>& devices) {
  return GpuExamination(examination, devices).run();
}

}  // namespace holdall::launcher
