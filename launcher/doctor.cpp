#include "launcher/doctor.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/doctor/examination.h"

namespace holdall::launcher {
namespace {

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> variables;
  for (char** variable = ::environ; variable && *variable; ++variable) {
    const std::string text = *variable;
    if (const std::size_t equals = text.find('='); equals != std::string::npos)
      variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

bool is_storage(const Check& check) {
  return check.code == "E_DISK" || check.code == "E_NOEXEC" || check.code == "E_NETWORK_FS";
}

}  // namespace

std::optional<std::string> Examination::variable(const std::string& name) const {
  const auto found = environment.find(name);
  return found == environment.end() ? std::nullopt : std::optional(found->second);
}

Diagnosis diagnose(const bundle::BundleInfo* info, const DoctorOptions& options) {
  const Host host(options.sysroot);
  utsname machine{};
  ::uname(&machine);
  Examination exam{
      host, info, options, options.environment.value_or(std::map<std::string, std::string>{}), machine.machine, {}};
  if (!options.environment) exam.environment = process_environment();
  exam.libc = observe_libc(host, exam.arch);
  if (host.captured() && exam.libc.arch) exam.arch = *exam.libc.arch;

  Diagnosis diagnosis;
  const auto take = [&](std::vector<Check> checks) {
    diagnosis.checks.insert(diagnosis.checks.end(), checks.begin(), checks.end());
  };
  take(check_machine(exam));
  take(check_storage(exam));
  take(check_gpus(exam, diagnosis.devices));

  std::size_t failed = 0, failed_storage = 0, open = 0;
  for (const Check& check : diagnosis.checks) {
    failed += check.status == Status::kFail;
    failed_storage += check.status == Status::kFail && is_storage(check);
    open += check.status == Status::kSkip && !check.need.empty();
  }
  diagnosis.verdict = failed > 0 ? Verdict::kIncompatible : open > 0 ? Verdict::kUnknown : Verdict::kCompatible;
  diagnosis.storage_only = failed > 0 && failed == failed_storage;
  return diagnosis;
}

}  // namespace holdall::launcher
