// The manifest of a service bundle: JSON that manifests/schema.json describes (docs/manifest.md for people).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle_info.h"
#include "packer/json_schema.h"

namespace holdall::packer {

enum class Device { kCpu, kCuda };
enum class Libc { kHost, kBundled };

struct FileMapping {
  std::string from;  // absolute
  std::string to;    // in the bundle
};

struct ModelSource {
  std::string name;
  std::string path;  // absolute; empty if external
  bool external = false;
  std::string digest, golden;
  std::map<std::string, std::string> golden_pictures = {};  // field of `golden` → path in the bundle
};

struct Provision {
  std::string path;  // absolute
  std::vector<std::string> command;
};

// Validated; every path is absolute and lexically normal.
struct Manifest {
  std::string path, folder;
  std::string name, version;
  std::vector<std::string> executables, library_paths;
  std::vector<std::string> dlopen;  // names, or absolute paths
  std::vector<FileMapping> files;
  std::string prefix;  // empty: none
  Device device = Device::kCpu;
  Libc libc = Libc::kHost;
  std::uint64_t memory_bytes = 0, gpu_memory_bytes = 0;
  std::optional<ModelSource> model;
  std::optional<bundle::Service> service;
  std::vector<Provision> provide;
};

struct ManifestReading {
  std::optional<Manifest> manifest;  // if there is no fault
  std::vector<JsonFault> faults;
};

// The text of manifests/schema.json.
std::string_view manifest_schema();

// Schema and the rules that a schema cannot say. `path` gives the folder that paths are relative to; nothing is opened.
ManifestReading parse_manifest(std::string_view text, const std::string& path);

// Reads the file. Throws Error{kNotFound, kStorage}, or Error{kCannotPack} with every fault on a line of its own, each
// behind the manifest's path and the fault's JSON pointer.
Manifest load_manifest(const std::string& path);

// Are the inputs there and of the right kind? What a command of `provide` would make counts as there.
std::vector<JsonFault> check_inputs(const Manifest& manifest);

// "cannot use manifest 'x': /files/0/to: …" and one line for each further fault.
std::string describe_faults(const std::string& path, const std::vector<JsonFault>& faults);

}  // namespace holdall::packer
