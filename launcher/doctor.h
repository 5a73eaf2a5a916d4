// Can this host run the bundle? Each answer says what was found and where, what is needed and why, and what to do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle_info.h"

namespace holdall::launcher {

enum class Status { kOk, kWarn, kFail, kSkip };
enum class Verdict { kCompatible, kIncompatible, kUnknown };

struct Check {
  std::string id;      // "driver", "glibc", "disk", …
  Status status = Status::kOk;
  std::string code;    // E_… of 13-rulings, for kFail and kWarn
  std::string found, source, need, why, fix;
};

struct Device {
  int index = 0;
  std::string name, uuid, capability;
  std::uint64_t memory_bytes = 0;
};

struct Diagnosis {
  Verdict verdict = Verdict::kUnknown;
  std::vector<Check> checks;
  std::vector<Device> devices;
  bool storage_only = false;  // every failing check is about the disk: exit 6 instead of 5
};

struct DoctorOptions {
  std::string sysroot;      // every file of the host is read below it; empty: "/"
  std::string libcuda;      // the user's word, wherever it lies
  std::string root;         // the store that would be installed into: disk, noexec, NFS
  bool allow_cpu = false;   // a bundle that wants CUDA may run on the CPU
};

// `info` absent: the host alone. CUDA is touched only in a child process with a deadline. Never throws for what it finds
// on the host.
Diagnosis diagnose(const bundle::BundleInfo* info, const DoctorOptions& options);

// The text that people read: one block per finding, the verdict last.
std::string to_text(const Diagnosis& diagnosis, bool colour);
std::string to_json(const Diagnosis& diagnosis);

}  // namespace holdall::launcher
