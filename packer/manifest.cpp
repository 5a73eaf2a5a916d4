#include "packer/manifest.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "bundle/error.h"
#include "bundle/member_path.h"
#include "packer/elf_file.h"
#include "packer/input_file.h"

namespace holdall::packer {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::uint64_t kMaxManifest = 1 << 20;

std::string absolute_path(const std::string& folder, const std::string& path) {
  std::string result = (fs::path(folder) / path).lexically_normal().string();
  while (result.size() > 1 && result.back() == '/') result.pop_back();
  return result;
}

bool lies_in(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

bundle::Service read_service(const Json& json) {
  bundle::Service service;
  service.exec = json["exec"].get<std::vector<std::string>>();
  if (json.contains("environment")) service.environment = json["environment"].get<std::map<std::string, std::string>>();
  if (json.value("swap", "overlap") == "replace") service.swap = bundle::SwapMode::kReplace;
  service.ready_timeout_seconds = json.value("ready_timeout_seconds", service.ready_timeout_seconds);
  service.drain_timeout_seconds = json.value("drain_timeout_seconds", service.drain_timeout_seconds);
  return service;
}

Manifest read_manifest(const Json& json, const std::string& path) {
  Manifest manifest;
  manifest.path = path;
  manifest.folder = fs::absolute(path).lexically_normal().parent_path().string();
  const auto absolute = [&](const std::string& item) { return absolute_path(manifest.folder, item); };
  const auto list = [&](const char* key) { return json.value(key, std::vector<std::string>()); };
  manifest.name = json["name"];
  manifest.version = json["version"];
  for (const std::string& item : list("executables")) manifest.executables.push_back(absolute(item));
  for (const std::string& item : list("library_paths")) manifest.library_paths.push_back(absolute(item));
  for (const std::string& item : list("dlopen")) {
    manifest.dlopen.push_back(item.find('/') == item.npos ? item : absolute(item));
  }
  for (const Json& item : json.value("files", Json::array())) {
    manifest.files.push_back({absolute(item["from"]), item["to"]});
  }
  if (json.contains("prefix")) manifest.prefix = absolute(json["prefix"]);
  if (json.value("device", "cpu") == "cuda") manifest.device = Device::kCuda;
  if (json.value("libc", "host") == "bundled") manifest.libc = Libc::kBundled;
  manifest.memory_bytes = json.value("memory_bytes", std::uint64_t{0});
  manifest.gpu_memory_bytes = json.value("gpu_memory_bytes", std::uint64_t{0});
  if (json.contains("model")) {
    const Json& model = json["model"];
    manifest.model = ModelSource{.name = model["name"],
                                 .path = model.contains("path") ? absolute(model["path"]) : std::string(),
                                 .external = model.value("external", false),
                                 .digest = model.value("digest", std::string()),
                                 .golden = model.contains("golden") ? model["golden"].dump() : std::string()};
    if (model.contains("golden"))
      for (const char* field : {"image", "output"}) manifest.model->golden_pictures[field] = model["golden"][field];
  }
  if (json.contains("service")) manifest.service = read_service(json["service"]);
  for (const Json& item : json.value("provide", Json::array())) {
    manifest.provide.push_back({absolute(item["path"]), item["command"].get<std::vector<std::string>>()});
  }
  return manifest;
}

// What no schema can say.
std::vector<JsonFault> check_meaning(const Manifest& manifest) {
  std::vector<JsonFault> faults;
  std::set<std::string> names;
  for (std::size_t i = 0; i < manifest.executables.size(); ++i) {
    const std::string name = fs::path(manifest.executables[i]).filename().string();
    if (!names.insert(name).second) {
      faults.push_back({"/executables/" + std::to_string(i), "is the second program called '" + name + "'"});
    }
  }
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    const std::string& to = manifest.files[i].to;
    const std::string place = "/files/" + std::to_string(i) + "/to";
    if (const std::string fault = bundle::path_fault(to); !fault.empty()) {
      faults.push_back({place, "is '" + to + "', which " + fault});
    } else if (lies_in(to, "holdall") || lies_in(to, "model")) {
      faults.push_back({place, "is '" + to + "': holdall/ and model/ belong to the bundle itself"});
    }
  }
  if (manifest.model && manifest.model->external == !manifest.model->path.empty()) {
    faults.push_back({"/model", "must have either 'path' or 'external': true"});
  }
  if (manifest.model && !manifest.model->external && !manifest.model->digest.empty()) {
    faults.push_back({"/model/digest", "pins an external model; a packed one is digested while it is packed"});
  }
  if (manifest.service) {
    const std::string& program = manifest.service->exec.front();
    if (const std::string fault = bundle::path_fault(program); !fault.empty()) {
      faults.push_back(
          {"/service/exec/0", "is '" + program + "', which " + fault + ": it must be a path in the bundle"});
    }
    for (const auto& [name, value] : manifest.service->environment) {
      if (name.empty() || name.find('=') != name.npos || name.find('\0') != name.npos ||
          value.find('\0') != value.npos) {
        faults.push_back({"/service/environment", "has the impossible variable '" + name + "'"});
      }
    }
  }
  return faults;
}

}  // namespace

ManifestReading parse_manifest(std::string_view text, const std::string& path) {
  ManifestReading reading;
  reading.faults = check_schema(manifest_schema(), text);
  if (!reading.faults.empty()) return reading;
  Manifest manifest = read_manifest(Json::parse(text), path);
  reading.faults = check_meaning(manifest);
  if (reading.faults.empty()) reading.manifest = std::move(manifest);
  return reading;
}

std::string describe_faults(const std::string& path, const std::vector<JsonFault>& faults) {
  std::string message = "cannot use manifest '" + path + "':";
  for (const JsonFault& fault : faults) {
    message +=
        (faults.size() == 1 ? " " : "\n  ") + (fault.pointer.empty() ? "it" : fault.pointer) + " " + fault.message;
  }
  return message;
}

Manifest load_manifest(const std::string& path) {
  ManifestReading reading = parse_manifest(read_whole(path, kMaxManifest), path);
  if (reading.manifest) return *std::move(reading.manifest);
  throw bundle::Error(bundle::ErrorKind::kCannotPack, describe_faults(path, reading.faults));
}

std::vector<JsonFault> check_inputs(const Manifest& manifest) {
  std::vector<JsonFault> faults;
  // Which paths a command makes is its own affair: while one is still to run, nothing counts as missing.
  const bool provided = std::ranges::any_of(manifest.provide, [](const Provision& provision) {
    std::error_code ignored;
    return !fs::exists(provision.path, ignored);
  });
  using IsKind = std::function<bool(const std::string&)>;
  const auto expect = [&](const std::string& pointer, const std::string& path, const char* kind,
                          const IsKind& is_kind) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found) {
      if (!provided) faults.push_back({pointer, "names '" + path + "', which is missing"});
    } else if (error) {
      faults.push_back({pointer, bundle::system_error(error.value(), "examine", path).what()});
    } else if (!is_kind(path)) {
      faults.push_back({pointer, "names '" + path + "', which is not " + kind});
    }
  };
  std::error_code ignored;
  const IsKind is_folder = [&](const std::string& path) { return fs::is_directory(path, ignored); };
  const IsKind is_data = [&](const std::string& path) { return is_folder(path) || fs::is_regular_file(path, ignored); };
  for (std::size_t i = 0; i < manifest.executables.size(); ++i) {
    expect("/executables/" + std::to_string(i), manifest.executables[i], "an ELF program", has_elf_magic);
  }
  for (std::size_t i = 0; i < manifest.library_paths.size(); ++i) {
    expect("/library_paths/" + std::to_string(i), manifest.library_paths[i], "a folder", is_folder);
  }
  for (std::size_t i = 0; i < manifest.dlopen.size(); ++i) {
    if (manifest.dlopen[i].front() != '/') continue;
    expect("/dlopen/" + std::to_string(i), manifest.dlopen[i], "an ELF library", has_elf_magic);
  }
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    expect("/files/" + std::to_string(i) + "/from", manifest.files[i].from, "a file or a folder", is_data);
  }
  if (manifest.model && !manifest.model->external) expect("/model/path", manifest.model->path, "a folder", is_folder);
  return faults;
}

}  // namespace holdall::packer
