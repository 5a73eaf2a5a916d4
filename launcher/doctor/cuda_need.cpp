#include "launcher/doctor/cuda_need.h"

#include <algorithm>

#include "launcher/doctor/driver_table.h"
#include "launcher/doctor/version.h"

namespace holdall::launcher {
namespace {

struct DriverFloor {
  std::string version, why;
  bool in_table = true;  // false: of a CUDA that the table does not know; the version is the newest that it knows
};

DriverFloor floor_of(const bundle::CudaRequirement& need) {
  const auto major = driver_floor(need.major);
  const std::string cuda = "CUDA " + std::to_string(need.major) + ".x";
  const bundle::Floor& stated = need.driver;
  if (stated.version.empty() && !major)
    return {newest_driver_floor(), cuda + " is newer than this program's table of drivers", false};
  if (stated.version.empty() || (major && version_less(stated.version, *major)))
    return {*major, "the floor of " + cuda, true};
  std::string why = stated.why.empty() ? "the floor of " + cuda : stated.why;
  if (!stated.from.empty() && why.find(stated.from) == std::string::npos) why = stated.from + ": " + why;
  return {stated.version, why, true};
}

// "90a" → capability "9.0" and suffix 'a'.
struct Target {
  std::string capability;
  char suffix = 0;
};

std::optional<Target> parse_target(std::string text) {
  Target target;
  if (!text.empty() && (text.back() == 'a' || text.back() == 'f')) {
    target.suffix = text.back();
    text.pop_back();
  }
  if (text.size() < 2 || text.size() > 4 || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  target.capability = text.substr(0, text.size() - 1) + "." + text.back();
  return target;
}

enum class Cover { kYes, kPtxTooNew, kNo };

Cover cover(const bundle::CudaRequirement::Coverage& library, const std::string& capability,
            const std::optional<std::string>& cuda) {
  for (const std::string& cubin : library.cubin)
    if (cubin_runs(cubin, capability)) return Cover::kYes;
  Cover best = Cover::kNo;
  for (const std::string& ptx : library.ptx) {  // "90@9.0"
    const std::size_t at = ptx.find('@');
    if (!ptx_fits(ptx.substr(0, at), capability)) continue;
    const auto needed = at == std::string::npos ? std::nullopt : cuda_of_ptx(ptx.substr(at + 1));
    // A PTX or driver that is not known counts as able: the driver itself will say.
    if (!needed || !cuda || !version_less(*cuda, *needed)) return Cover::kYes;
    best = Cover::kPtxTooNew;
  }
  return best;
}

std::string list(const std::vector<std::string>& words, const char* prefix) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + (prefix + word);
  return text;
}

}  // namespace

std::string DriverVersions::text() const {
  std::string text = driver.value_or("");
  if (cuda) text += (text.empty() ? "" : ", ") + ("CUDA " + *cuda);
  return text.empty() ? "not known" : text;
}

Check check_driver(const DriverVersions& found, const bundle::CudaRequirement* need) {
  Check check;
  check.id = "driver";
  check.found = found.text();
  check.source = (found.cuda_overridden || !found.driver ? found.cuda_source : found.driver_source).value_or("");
  if (!need) {
    if (!found.driver && !found.cuda) check.status = Status::kSkip;
    return check;
  }
  const DriverFloor floor = floor_of(*need);
  const std::string cuda_floor = cuda_of_driver(floor.version).value_or("");
  check.need = ">=" + floor.version;
  check.why = floor.why;
  std::optional<bool> below;
  if (found.driver && !found.cuda_overridden) {
    below = version_less(*found.driver, floor.version);
  } else if (found.cuda) {
    below = version_less(*found.cuda, cuda_floor);
    check.need += " (CUDA " + cuda_floor + ")";
  }
  if (!below) {
    check.status = Status::kSkip;
  } else if (*below) {
    check.status = Status::kFail;
    check.code = "E_DRIVER_TOO_OLD";
    const auto major = driver_floor(need->major);
    if (major && found.driver && !version_less(*found.driver, *major))
      check.why += " (the floor of CUDA " + std::to_string(need->major) + ".x, " + *major + ", alone would pass)";
    check.fix = "admin: install driver >=" + floor.version + "; or use a bundle for an older CUDA";
  } else if (!floor.in_table) {
    check.status = Status::kWarn;
    check.code = "E_DRIVER_TOO_OLD";
    check.fix = "upgrade holdall to have this judged";
  }
  return check;
}

std::optional<Check> check_ptx(const DriverVersions& found, const bundle::CudaRequirement& need,
                               const std::vector<Device>& devices) {
  if (!need.ptx_isa) return std::nullopt;
  // With machine code and PTX per library and the devices known, coverage gives the exact answer.
  if (!need.coverage.empty() && !devices.empty()) return std::nullopt;
  Check check;
  check.id = "ptx";
  check.found = found.text();
  check.source = found.cuda_source.value_or("");
  check.why = "PTX ISA " + need.ptx_isa->version + (need.ptx_isa->from.empty() ? "" : " in " + need.ptx_isa->from);
  const auto cuda = cuda_of_ptx(need.ptx_isa->version);
  if (!cuda) {
    const bool newer = version_less("9.2", need.ptx_isa->version);
    check.need = newer ? ">=" + newest_driver_floor() : "";
    check.status = newer ? Status::kWarn : Status::kOk;
    if (newer) {
      check.code = "E_PTX_TOO_NEW";
      check.why += ", which is newer than this program's table of drivers";
      check.fix = "upgrade holdall to have this judged";
    }
    return check;
  }
  check.need = "CUDA >=" + *cuda;
  if (const auto driver = first_driver(*cuda)) check.need += " (driver " + *driver + ")";
  if (!found.cuda) {
    check.status = Status::kSkip;
  } else if (version_less(*found.cuda, *cuda)) {
    check.status = Status::kFail;
    check.code = "E_PTX_TOO_NEW";
    check.fix = "admin: install a driver for CUDA >=" + *cuda + "; or use a bundle for an older CUDA";
  }
  return check;
}

std::optional<Check> check_coverage(const DriverVersions& found, const bundle::CudaRequirement& need,
                                    const std::vector<Device>& devices) {
  if (need.coverage.empty() || devices.empty()) return std::nullopt;
  Check check;
  check.id = "coverage";
  check.source = "cuDeviceGetAttribute";
  std::string uncovered;
  bool any = false;
  for (const Device& device : devices) {
    Cover worst = Cover::kYes;
    for (const auto& [library, coverage] : need.coverage) {
      const Cover one = cover(coverage, device.capability, found.cuda);
      if (one == Cover::kYes || one < worst) continue;
      worst = one;
      if (!check.code.empty()) continue;
      check.code = one == Cover::kPtxTooNew ? "E_PTX_TOO_NEW" : "E_SM_NOT_COVERED";
      check.need = "one of " + list(coverage.cubin, "sm_") +
                   (coverage.cubin.empty() || coverage.ptx.empty() ? "" : " ") + list(coverage.ptx, "compute_");
      check.why = "the kernels that " + library + " carries";
      check.subject = device_label(device);
    }
    if (worst == Cover::kYes)
      any = true;
    else
      uncovered += (uncovered.empty() ? "" : ", ") + device_label(device);
  }
  if (uncovered.empty()) {
    check.found = "kernels for every device";
    return check;
  }
  check.found = "no kernels for " + uncovered;
  check.status = any ? Status::kWarn : Status::kFail;
  if (check.code == "E_PTX_TOO_NEW") {
    check.found += " with " + found.text();
    check.fix = "admin: install a newer driver; or use a bundle that covers this device";
  } else {
    check.fix = any ? "choose another device with --device" : "use a bundle that covers this device";
  }
  return check;
}

bool cubin_runs(const std::string& cubin, const std::string& capability) {
  const auto target = parse_target(cubin);
  const auto wanted = target ? parse_version(target->capability) : std::nullopt;
  const auto device = parse_version(capability);
  if (!wanted || !device || device->parts.size() != 2) return false;
  if (target->suffix == 'f') {
    const auto members = family_members(cubin);
    if (!members.empty()) return std::find(members.begin(), members.end(), capability) != members.end();
  }
  if (target->suffix != 0) return compare(*wanted, *device) == 0;
  return wanted->parts[0] == device->parts[0] && wanted->parts[1] <= device->parts[1];
}

bool ptx_fits(const std::string& target_text, const std::string& capability) {
  const auto target = parse_target(target_text);
  if (!target) return false;
  if (target->suffix != 0) return cubin_runs(target_text, capability);
  return !version_less(capability, target->capability);
}

std::string device_label(const Device& device) {
  std::string label = "GPU" + std::to_string(device.index) + (device.name.empty() ? "" : " " + device.name);
  if (!device.capability.empty()) {
    std::string sm = device.capability;
    sm.erase(std::remove(sm.begin(), sm.end(), '.'), sm.end());
    label += " (sm_" + sm + ")";
  }
  return label;
}

}  // namespace holdall::launcher
