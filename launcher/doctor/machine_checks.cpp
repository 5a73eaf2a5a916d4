#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "launcher/doctor/elf_facts.h"
#include "launcher/doctor/examination.h"
#include "launcher/doctor/library_search.h"
#include "launcher/doctor/version.h"

namespace holdall::launcher {
namespace {

// x86-64 psABI, "Micro-Architecture Levels", by the names of /proc/cpuinfo.
const std::vector<std::vector<std::string>>& level_flags() {
  static const std::vector<std::vector<std::string>> flags = {
      {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
      {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
      {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}};
  return flags;
}

std::string from(const bundle::Floor& floor) {
  std::string text = floor.why;
  if (!floor.from.empty()) text += (text.empty() ? "" : ": ") + floor.from;
  return text;
}

Check check_architecture(const Examination& exam) {
  Check check;
  check.id = "architecture";
  check.found = exam.arch;
  check.source = exam.libc.source && exam.host.captured() ? *exam.libc.source : "uname";
  const std::string need = exam.info ? exam.info->requires_host.arch : "";
  if (exam.host.captured() && !exam.libc.arch) {
    check.status = Status::kSkip;
    check.found = "not captured";
    check.source.clear();
  } else if (!need.empty() && need != exam.arch) {
    check.status = Status::kFail;
    check.code = "E_ARCH";
    check.fix = "use the bundle for " + exam.arch + ", or a host with " + need;
  }
  if (exam.info && need.empty()) {
    check.status = Status::kSkip;
    check.need = "not known";
    check.why = "the archive does not say what its programs need: only holdall-pack finds that out";
    return check;
  }
  check.need = check.status == Status::kSkip ? "" : need;
  if (!need.empty()) check.why = "the bundle's programs are for " + need;
  return check;
}

Check check_cpu(const Examination& exam) {
  Check check;
  check.id = "cpu";
  check.source = "/proc/cpuinfo";
  const int need = exam.info && exam.info->requires_host.arch == "x86_64" ? exam.info->requires_host.cpu_level : 1;
  if (need > 1) check.need = "x86-64-v" + std::to_string(need);
  if (exam.arch != "x86_64") {
    check.status = Status::kSkip;
    check.need.clear();
    check.found = "no levels on " + exam.arch;
    return check;
  }
  const std::string text = exam.host.read("/proc/cpuinfo").value_or("");
  const std::size_t line = text.find("\nflags");
  if (line == std::string::npos) {
    check.status = Status::kSkip;
    check.found = "no flags";
    return check;
  }
  std::set<std::string> flags;
  const std::string words = text.substr(line + 1, text.find('\n', line + 1) - line - 1) + " ";
  for (std::size_t at = 0, end; (end = words.find_first_of(" \t", at)) != std::string::npos; at = end + 1)
    flags.insert(words.substr(at, end - at));
  int level = 1;
  std::string missing;
  for (const auto& wanted : level_flags()) {
    for (const std::string& flag : wanted)
      if (!flags.count(flag)) missing += (missing.empty() ? "" : " ") + flag;
    if (!missing.empty()) break;
    ++level;
  }
  check.found = "x86-64-v" + std::to_string(level);
  if (level < need) {
    check.status = Status::kFail;
    check.code = "E_CPU_LEVEL";
    check.found += ", without " + missing;
    check.why = "the bundle's programs use these instructions";
    check.fix = "use a newer CPU; in a virtual machine, give it the host's CPU model";
  }
  return check;
}

std::string own_libc_instead(const Examination& exam) {
  return exam.info->requires_host.libc
             ? ", or leave out --libc host: the bundle brings " + exam.info->requires_host.libc->version
             : ", or a bundle that was packed on an older one or with \"libc\": \"bundled\"";
}

Check check_glibc(const Examination& exam) {
  Check check;
  check.id = "glibc";
  const bundle::Floor* need = exam.info && exam.info->requires_host.glibc ? &*exam.info->requires_host.glibc : nullptr;
  if (need) {
    check.need = ">=" + need->version;
    check.why = from(*need);
  }
  const std::optional<std::string> version = exam.host_glibc();
  check.source = exam.variable("CONDA_OVERRIDE_GLIBC") ? "CONDA_OVERRIDE_GLIBC" : exam.libc.source.value_or("");
  const bool musl = !version && exam.host.exists("/lib/ld-musl-" + exam.arch + ".so.1");
  check.found = version ? *version : musl ? "musl" : "no glibc";
  if (exam.libc_choice == bundle::LibcChoice::kBundled) {
    check.found += ", not used: runs on the bundled " + exam.info->requires_host.libc->version;
    return check;
  }
  if (!version) {
    check.status = musl && need ? Status::kFail : Status::kSkip;
    if (check.status == Status::kFail) {
      check.code = "E_GLIBC_TOO_OLD";
      check.source = "/lib/ld-musl-" + exam.arch + ".so.1";
      check.fix = "use a distribution with glibc" + own_libc_instead(exam);
    }
    return check;
  }
  if (need && version_less(*version, need->version)) {
    check.status = Status::kFail;
    check.code = "E_GLIBC_TOO_OLD";
    check.fix = "use a distribution with glibc >=" + need->version + own_libc_instead(exam);
  }
  return check;
}

std::optional<Check> check_libstdcxx(const Examination& exam) {
  if (!exam.info || !exam.info->requires_host.libstdcxx) return std::nullopt;
  const bundle::Floor& need = *exam.info->requires_host.libstdcxx;
  Check check;
  check.id = "libstdcxx";
  check.need = "GLIBCXX_" + need.version;
  check.why = from(need);
  for (const std::string& path : find_library(exam.host, "libstdc++.so.6")) {
    const bundle::FileDescriptor file = exam.host.open(path);
    const auto elf = file ? read_elf(file.get()) : std::nullopt;
    const auto version =
        elf && machine_name(elf->machine) == exam.arch ? newest(elf->provided_versions, "GLIBCXX_") : std::nullopt;
    if (!version) continue;
    check.found = "GLIBCXX_" + *version;
    check.source = path;
    if (!version_less(*version, need.version)) return check;
    break;
  }
  check.status = Status::kFail;
  check.code = "E_GLIBC_TOO_OLD";
  if (check.found.empty()) check.found = "no libstdc++.so.6";
  check.fix = "admin: install a newer libstdc++; or use a bundle that carries its own";
  return check;
}

Check check_page_size(const Examination& exam) {
  Check check;
  check.id = "page_size";
  if (exam.host.captured()) {
    check.status = Status::kSkip;
    check.found = "cannot be captured";
  } else {
    check.found = std::to_string(::sysconf(_SC_PAGESIZE));
    check.source = "sysconf";
  }
  return check;
}

// "MemTotal:       24591544 kB"
std::optional<std::uint64_t> memory_field(const std::string& text, const std::string& name) {
  const std::size_t at = text.find(name + ":");
  unsigned long long kilobytes = 0;
  if (at == std::string::npos || std::sscanf(text.c_str() + at + name.size() + 1, "%llu", &kilobytes) != 1)
    return std::nullopt;
  return kilobytes * 1024;
}

// The tightest limit of the control groups in which this process is, and the file that sets it.
std::optional<std::pair<std::uint64_t, std::string>> memory_limit(const Host& host) {
  std::vector<std::string> files = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  const std::string groups = host.captured() ? "" : host.read("/proc/self/cgroup").value_or("");
  if (const std::size_t at = groups.find("0::/"); at != std::string::npos) {
    std::string group = groups.substr(at + 3, groups.find('\n', at) - at - 3);
    for (; group.size() > 1; group.erase(group.rfind('/'))) files.push_back("/sys/fs/cgroup" + group + "/memory.max");
  }
  std::optional<std::pair<std::uint64_t, std::string>> tightest;
  for (const std::string& file : files) {
    unsigned long long limit = 0;  // "max" is no limit
    if (std::sscanf(host.read(file).value_or("").c_str(), "%llu", &limit) == 1 &&
        (!tightest || limit < tightest->first))
      tightest = {limit, file};
  }
  return tightest;
}

Check check_memory(const Examination& exam) {
  Check check;
  check.id = "memory";
  check.source = "/proc/meminfo";
  const std::uint64_t need = exam.info ? exam.info->requires_host.memory_bytes : 0;
  if (need > 0) check.need = ">=" + format_bytes(need);
  const std::string text = exam.host.read("/proc/meminfo").value_or("");
  auto total = memory_field(text, "MemTotal");
  if (!total) {
    check.status = Status::kSkip;
    check.found = "not known";
    return check;
  }
  if (const auto limit = memory_limit(exam.host); limit && limit->first < *total) {
    total = limit->first;
    check.source = limit->second;
  }
  const std::uint64_t available = std::min(memory_field(text, "MemAvailable").value_or(*total), *total);
  check.found = format_bytes(*total) + ", " + format_bytes(available) + " available";
  if (need > 0) check.why = "its manifest asks for it";
  if (*total < need) {
    check.status = Status::kFail;
    check.code = "E_MEMORY";
    check.fix = "use a host with more memory, or raise the limit of the container or job";
  } else if (available < need) {
    check.status = Status::kWarn;
    check.code = "E_MEMORY";
    check.fix = "stop other programs before starting the service";
  }
  return check;
}

Check check_open_files(const Examination& exam) {
  Check check;
  check.id = "open_files";
  rlimit limit{};
  if (exam.host.captured() || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    check.status = Status::kSkip;
    check.found = "cannot be captured";
    return check;
  }
  check.found = limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
  check.source = "RLIMIT_NOFILE";
  check.need = ">=1024";
  check.why = "one per client, file and library";
  if (limit.rlim_cur < 1024) {
    check.status = Status::kWarn;
    check.fix = "raise it with ulimit -n 1024; admin: limits.conf or LimitNOFILE=";
  }
  return check;
}

// glibc says its release in a banner: "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36."
std::optional<std::string> banner_version(const std::string& bytes) {
  const std::size_t banner = bytes.find("GNU C Library");
  if (banner == std::string::npos) return std::nullopt;
  const std::string_view text = std::string_view(bytes).substr(banner, 200);
  const std::size_t word = text.find("version ");
  if (word == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(word + 8);
  std::string_view number = rest.substr(0, rest.find_first_not_of("0123456789."));
  while (!number.empty() && number.back() == '.') number.remove_suffix(1);
  const auto version = parse_version(number);
  return version && version->parts.size() >= 2 ? std::optional<std::string>(number) : std::nullopt;
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

HostLibc observe_libc(const Host& host, const std::string& preferred_arch) {
  constexpr std::size_t kMaxLibc = 32u << 20;  // Debian's has 2 MiB
  HostLibc libc;
  for (const std::string& path : find_library(host, "libc.so.6")) {
    const bundle::FileDescriptor file = host.open(path);
    const auto elf = file ? read_elf(file.get()) : std::nullopt;
    if (!elf || elf->bits != 64) continue;
    const std::string arch = machine_name(elf->machine);
    if (libc.arch && arch != preferred_arch) continue;
    libc.arch = arch;
    libc.source = host.real_path(path);
    libc.version = banner_version(host.read(path, kMaxLibc).value_or(""));
    if (!libc.version) libc.version = newest(elf->provided_versions, "GLIBC_");
    if (arch == preferred_arch) break;
  }
  return libc;
}

std::vector<Check> check_machine(const Examination& exam) {
  std::vector<Check> checks = {check_architecture(exam), check_cpu(exam), check_glibc(exam)};
  if (auto check = check_libstdcxx(exam)) checks.push_back(*check);
  checks.push_back(check_page_size(exam));
  checks.push_back(check_memory(exam));
  checks.push_back(check_open_files(exam));
  return checks;
}

}  // namespace holdall::launcher
