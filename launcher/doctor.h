// Can this host run the bundle? Each answer says what was found and where, what is needed and why, and what to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"
#include "bundle/relocation.h"

namespace holdall::launcher {

enum class Status { kOk, kWarn, kFail, kSkip };
enum class Verdict { kCompatible, kIncompatible, kUnknown };

// A check that was skipped although the bundle has a need (kSkip with `need`) leaves the verdict unknown.
struct Check {
  std::string id{};  // "driver", "glibc", "disk", …
  Status status = Status::kOk;
  std::string code{};  // E_…, for kFail and kWarn; empty where a warning has none
  std::string found{}, source{}, need{}, why{}, fix{};
  std::string subject{};  // the device that is meant, e.g. "GPU0 Tesla V100 (sm_70)"; text only
  std::string note{};     // one more line, e.g. "not tried: …"; text only
};

// Memory was taken on a device, filled by a kernel of the driver and read back. `call` is the one that failed, with its
// CUresult; empty: none.
struct Trial {
  std::string call;
  int result = 0;
};

struct Device {
  int index = 0;
  std::string name{}, uuid{}, capability{};
  std::uint64_t memory_bytes = 0;
  std::optional<std::uint64_t> free_bytes{};
  std::optional<Trial> trial{};
};

struct Diagnosis {
  Verdict verdict = Verdict::kUnknown;
  std::vector<Check> checks;
  std::vector<Device> devices;
  bool storage_only = false;                            // every failing check is about the disk: exit 6 instead of 5
  bundle::LibcChoice libc = bundle::LibcChoice::kHost;  // what the bundle's programs are to run on
};

// kAuto: the host's where it is new enough, else the one that the bundle brings, if it brings one.
enum class LibcWish { kAuto, kHost, kBundled };

struct DoctorOptions {
  std::string sysroot;  // every file of the host is read below it; empty: "/"
  std::string libcuda;  // the user's word, wherever it lies
  std::string root;     // the store that would be installed into: disk, noexec, NFS
  LibcWish libc = LibcWish::kAuto;
  bool allow_cpu = false;  // a bundle that wants CUDA may run on the CPU
  bool allow_network_filesystem = false;
  bool has_releases = false;  // the store holds some: what the bundle shares with them may take no room
  bool service_runs = false;  // of this store, to be replaced: what it takes of a GPU is not held against the host
  // CONDA_OVERRIDE_CUDA, CONDA_OVERRIDE_GLIBC, CUDA_VISIBLE_DEVICES and what the child gets; absent: the process's own.
  std::optional<std::map<std::string, std::string>> environment;
  std::chrono::milliseconds probe_timeout{30'000};
};

// `info` absent: the host alone. CUDA is touched only in a child process with a deadline. Never throws for what it
// finds on the host.
Diagnosis diagnose(const bundle::BundleInfo* info, const DoctorOptions& options);

// What programs of the bundle are to run on here: diagnose() says the same, among all else.
bundle::LibcChoice choose_libc(const bundle::BundleInfo& info, LibcWish wish);

// Throws Error{kUsage} if the bundle's own libc is wished for and it brings none. (Where only the environment wishes
// for it, that is for bundles that have one: do not ask.)
void require_libc(const bundle::BundleInfo& info, LibcWish wish);

// The text that people read: one block per finding, the verdict last.
std::string to_text(const Diagnosis& diagnosis, bool colour);
std::string to_json(const Diagnosis& diagnosis);

// The gate of install, upgrade and run. Writes refusals, and warnings unless they are hidden, to stderr. Throws
// Error{kIncompatible}, or Error{kStorage} if only the disk is at fault, when the verdict is incompatible; unknown is a
// warning.
enum class Warnings { kShow, kHide };
void require_compatible(const Diagnosis& diagnosis, const std::string& bundle_name,
                        Warnings warnings = Warnings::kShow);

}  // namespace holdall::launcher
