#include "launcher/doctor.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "bundle/error.h"
#include "launcher/doctor/examination.h"
#include "launcher/doctor/version.h"

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

std::optional<std::string> Examination::host_glibc() const {
  if (const auto said = variable("CONDA_OVERRIDE_GLIBC")) return said->empty() ? std::nullopt : said;
  return libc.version;
}

std::optional<std::string> Examination::used_glibc() const {
  return libc_choice == bundle::LibcChoice::kBundled ? std::optional(info->requires_host.libc->version) : libc.version;
}

namespace {

bundle::LibcChoice choice_of(const Examination& exam) {
  using bundle::LibcChoice;
  if (!exam.info || !exam.info->requires_host.libc || exam.options.libc == LibcWish::kHost) return LibcChoice::kHost;
  if (exam.options.libc == LibcWish::kBundled) return LibcChoice::kBundled;
  const auto& floor = exam.info->requires_host.glibc;
  const auto found = exam.host_glibc();
  return floor && (!found || version_less(*found, floor->version)) ? LibcChoice::kBundled : LibcChoice::kHost;
}

Examination examination_of(const Host& host, const bundle::BundleInfo* info, const DoctorOptions& options) {
  utsname machine{};
  ::uname(&machine);
  Examination exam{
      host, info, options, options.environment.value_or(std::map<std::string, std::string>{}), machine.machine, {}};
  if (!options.environment) exam.environment = process_environment();
  exam.libc = observe_libc(host, exam.arch);
  if (host.captured() && exam.libc.arch) exam.arch = *exam.libc.arch;
  exam.libc_choice = choice_of(exam);
  return exam;
}

}  // namespace

bundle::LibcChoice choose_libc(const bundle::BundleInfo& info, LibcWish wish) {
  DoctorOptions options;
  options.libc = wish;
  return examination_of(Host(), &info, options).libc_choice;
}

void require_libc(const bundle::BundleInfo& info, LibcWish wish) {
  if (wish == LibcWish::kBundled && !info.requires_host.libc)
    throw bundle::Error(bundle::ErrorKind::kUsage,
                        "bundle '" + info.name + "' brings no C library of its own: leave out --libc bundled");
}

Diagnosis diagnose(const bundle::BundleInfo* info, const DoctorOptions& options) {
  const Host host(options.sysroot);
  const Examination exam = examination_of(host, info, options);
  Diagnosis diagnosis;
  diagnosis.libc = exam.libc_choice;
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
