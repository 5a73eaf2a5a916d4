// holdall/bundle.json: what a bundle is, needs and starts. The first member of every archive; under 32 KiB.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/kernel_coverage.h"

namespace holdall::bundle {

inline constexpr int kFormatVersion = 1;

// A version that the host must reach, with the file (or rule) that asks for it.
struct Floor {
  std::string version;  // "2.28", "580.65.06", "9.0"
  std::string from;     // bundle path that sets it
  std::string why;      // e.g. "CUDA 13.x needs it"; may be empty
};

struct CudaRequirement {
  int major = 0;
  Floor driver;
  std::optional<Floor> ptx_isa;  // of a gating library that has PTX only: the driver compiles it whatever the GPU
  using Coverage = KernelCoverage;
  std::map<std::string, Coverage> coverage;  // gating library → what it carries
};

// The C library that the bundle brings for hosts whose own is older than the glibc floor.
struct BundledLibc {
  std::string version;               // "2.36"
  std::string interpreter;           // bundle path of its ld.so; the rest of it lies in the same folder
  std::vector<std::string> folders;  // where the bundle's programs and libraries look for theirs, sorted
};

struct Requirements {
  std::string arch;   // "x86_64", "aarch64"
  int cpu_level = 1;  // x86-64-v<level>
  std::optional<Floor> glibc, libstdcxx;
  std::optional<BundledLibc> libc;
  std::optional<CudaRequirement> cuda;
  std::uint64_t memory_bytes = 0, gpu_memory_bytes = 0;  // 0: not known
  std::uint64_t disk_bytes = 0;                          // unpacked
};

enum class SwapMode { kOverlap, kReplace };  // both services fit the device at once, or not

struct Service {
  // argv relative to the tree's root; "{model}", "{state}" and "{device}" stand for what the launcher knows.
  std::vector<std::string> exec;
  std::map<std::string, std::string> environment;
  SwapMode swap = SwapMode::kOverlap;
  int ready_timeout_seconds = 300;
  int drain_timeout_seconds = 300;
};

struct Model {
  std::string path;  // embedded: relative to the tree; external: empty, given by --model
  std::string name;  // e.g. "Qwen-Image-Edit-2509"
  bool external = false;
  std::string digest;  // "sha256:…" of the model's file list (FORMAT.md), empty if not pinned
  std::uint64_t bytes = 0;
  std::string golden;  // JSON object or empty: overrides `golden` of the model's holdall.json
};

struct BundleInfo {
  int format_version = kFormatVersion;
  std::string tool_version;
  std::string name, version;
  std::map<std::string, std::string> build;  // build inputs: zstd version and level, torch version, …
  Requirements requires_host;                // JSON key "requires"
  std::optional<Service> service;
  std::optional<Model> model;
  std::vector<std::string> layers;
  std::uint64_t files = 0, bytes = 0, largest_file = 0;
};

// Canonical JSON, indented by two spaces (people read it).
std::string to_json(const BundleInfo& info);

// Parses untrusted bytes. A newer format version is refused first: "bundle format 3 is newer than 1: upgrade holdall".
// Throws Error{kBadBundle} with the JSON pointer of the fault.
BundleInfo parse_bundle_info(std::string_view json);

}  // namespace holdall::bundle
