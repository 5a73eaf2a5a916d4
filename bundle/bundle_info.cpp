#include "bundle/bundle_info.h"

#include <algorithm>

#include "bundle/digest.h"
#include "bundle/error.h"
#include "bundle/json_checks.h"
#include "bundle/limits.h"
#include "bundle/member_path.h"

namespace holdall::bundle {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

ordered_json floor_json(const Floor& floor) {
  ordered_json object = {{"version", floor.version}};
  if (!floor.why.empty()) object["why"] = floor.why;
  object["from"] = floor.from;
  return object;
}

ordered_json requires_json(const Requirements& needs) {
  ordered_json object = {{"arch", needs.arch}, {"cpu_level", needs.cpu_level}};
  if (needs.glibc) object["glibc"] = floor_json(*needs.glibc);
  if (needs.libstdcxx) object["libstdcxx"] = floor_json(*needs.libstdcxx);
  if (needs.libc) {
    object["libc"] = {
        {"version", needs.libc->version}, {"interpreter", needs.libc->interpreter}, {"folders", needs.libc->folders}};
  }
  if (needs.cuda) {
    ordered_json cuda = {{"major", needs.cuda->major}, {"driver", floor_json(needs.cuda->driver)}};
    if (needs.cuda->ptx_isa) cuda["ptx_isa"] = floor_json(*needs.cuda->ptx_isa);
    cuda["coverage"] = ordered_json::object();
    for (const auto& [library, coverage] : needs.cuda->coverage) {
      cuda["coverage"][library] = {{"cubin", coverage.cubin}, {"ptx", coverage.ptx}};
    }
    object["cuda"] = std::move(cuda);
  }
  object["memory_bytes"] = needs.memory_bytes;
  object["gpu_memory_bytes"] = needs.gpu_memory_bytes;
  object["disk_bytes"] = needs.disk_bytes;
  return object;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '+' || c == '-';
}

// [A-Za-z0-9_.][A-Za-z0-9._+-]{0,63}, not "." or "..": a bundle's name is a folder of the store.
bool is_bundle_name(const std::string& text) {
  return !text.empty() && text.size() <= 64 && text != "." && text != ".." && text[0] != '+' && text[0] != '-' &&
         std::ranges::all_of(text, is_name_character);
}

bool is_bundle_version(const std::string& text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, is_name_character);
}

Floor parse_floor(const JsonView& view) {
  Floor floor;
  floor.version = view.object().at("version").string();
  floor.from = view.at("from").string();
  if (view.has("why")) floor.why = view.at("why").string();
  return floor;
}

std::map<std::string, std::string> parse_strings(const JsonView& view) {
  std::map<std::string, std::string> values;
  for (const auto& item : view.object().raw().items()) values[item.key()] = view.at(item.key()).string();
  return values;
}

CudaRequirement parse_cuda(const JsonView& view) {
  CudaRequirement cuda;
  cuda.major = static_cast<int>(view.object().at("major").number(1000));
  cuda.driver = parse_floor(view.at("driver"));
  if (view.has("ptx_isa")) cuda.ptx_isa = parse_floor(view.at("ptx_isa"));
  const JsonView coverage = view.at("coverage").object();
  for (const auto& item : coverage.raw().items()) {
    const JsonView library = coverage.at(item.key()).object();
    cuda.coverage[item.key()] = {library.at("cubin").strings(), library.at("ptx").strings()};
  }
  return cuda;
}

BundledLibc parse_libc(const JsonView& view) {
  BundledLibc libc{.version = view.object().at("version").string(),
                   .interpreter = view.at("interpreter").string(),
                   .folders = view.at("folders").strings()};
  if (const std::string fault = path_fault(libc.interpreter); !fault.empty()) view.at("interpreter").fail(fault);
  for (const std::string& folder : libc.folders)
    if (const std::string fault = path_fault(folder); !fault.empty()) view.at("folders").fail(fault);
  return libc;
}

Requirements parse_requires(const JsonView& view) {
  Requirements needs;
  needs.arch = view.object().at("arch").string();
  needs.cpu_level = static_cast<int>(view.at("cpu_level").number(9));
  if (view.has("glibc")) needs.glibc = parse_floor(view.at("glibc"));
  if (view.has("libstdcxx")) needs.libstdcxx = parse_floor(view.at("libstdcxx"));
  if (view.has("libc")) needs.libc = parse_libc(view.at("libc"));
  if (view.has("cuda")) needs.cuda = parse_cuda(view.at("cuda"));
  needs.memory_bytes = view.at("memory_bytes").number();
  needs.gpu_memory_bytes = view.at("gpu_memory_bytes").number();
  needs.disk_bytes = view.at("disk_bytes").number();
  return needs;
}

Service parse_service(const JsonView& view) {
  constexpr std::uint64_t kMaxSeconds = 7 * 24 * 3600;
  Service service;
  service.exec = view.object().at("exec").strings();
  if (service.exec.empty() || service.exec[0].empty()) view.at("exec").fail("names no program");
  service.environment = parse_strings(view.at("environment"));
  for (const auto& [name, value] : service.environment) {
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos) {
      view.at("environment").fail("'" + name.substr(0, 40) + "' cannot name a variable");
    }
  }
  const std::string swap = view.at("swap").string();
  if (swap != "overlap" && swap != "replace") view.at("swap").fail("is neither 'overlap' nor 'replace'");
  service.swap = swap == "replace" ? SwapMode::kReplace : SwapMode::kOverlap;
  service.ready_timeout_seconds = static_cast<int>(view.at("ready_timeout_seconds").number(kMaxSeconds));
  service.drain_timeout_seconds = static_cast<int>(view.at("drain_timeout_seconds").number(kMaxSeconds));
  return service;
}

Model parse_model(const JsonView& view) {
  Model model;
  model.path = view.object().at("path").string();
  model.name = view.at("name").string();
  model.external = view.at("external").boolean();
  if (model.external != model.path.empty())
    view.at("path").fail("an embedded model has a path, an external one has none");
  if (!model.path.empty()) {
    if (std::string fault = path_fault(model.path); !fault.empty()) view.at("path").fail(fault);
  }
  model.digest = view.at("digest").string();
  if (!model.digest.empty()) {
    try {
      model.digest = to_string(parse_digest(model.digest));
    } catch (const Error& error) {
      view.at("digest").fail(error.what());
    }
  }
  model.bytes = view.at("bytes").number();
  if (view.has("golden")) model.golden = view.at("golden").object().raw().dump();
  return model;
}

constexpr const char* kSubject = "bad bundle.json";

}  // namespace

std::string to_json(const BundleInfo& info) {
  ordered_json object = {{"format_version", info.format_version},
                         {"tool_version", info.tool_version},
                         {"name", info.name},
                         {"version", info.version},
                         {"build", info.build},
                         {"requires", requires_json(info.requires_host)}};
  if (info.service) {
    object["service"] = {{"exec", info.service->exec},
                         {"environment", info.service->environment},
                         {"swap", info.service->swap == SwapMode::kReplace ? "replace" : "overlap"},
                         {"ready_timeout_seconds", info.service->ready_timeout_seconds},
                         {"drain_timeout_seconds", info.service->drain_timeout_seconds}};
  }
  if (info.model) {
    ordered_json model = {{"path", info.model->path},
                          {"name", info.model->name},
                          {"external", info.model->external},
                          {"digest", info.model->digest},
                          {"bytes", info.model->bytes}};
    if (!info.model->golden.empty()) model["golden"] = ordered_json::parse(info.model->golden);
    object["model"] = std::move(model);
  }
  object["layers"] = info.layers;
  object["totals"] = {{"files", info.files}, {"bytes", info.bytes}, {"largest_file", info.largest_file}};
  return object.dump(2) + "\n";
}

BundleInfo parse_bundle_info(std::string_view text) {
  if (text.size() > kMaxInfoBytes) {
    throw Error(ErrorKind::kBadBundle,
                std::string(kSubject) + ": larger than " + std::to_string(kMaxInfoBytes) + " bytes");
  }
  JsonGuard guard(kSubject, {});
  json document;
  try {
    document = json::parse(text, [&](int depth, json::parse_event_t event, json& parsed) {
      guard(depth, event, parsed);
      return true;
    });
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kBadBundle, std::string(kSubject) + ": " + error.what());
  }
  const JsonView view(document, kSubject);
  const std::uint64_t format = view.object().at("format_version").number(1'000'000);
  if (format > kFormatVersion) {
    throw Error(ErrorKind::kBadBundle, "bundle format " + std::to_string(format) + " is newer than " +
                                           std::to_string(kFormatVersion) + ": upgrade holdall");
  }
  if (format == 0) view.at("format_version").fail("there is no format 0");
  BundleInfo info;
  info.format_version = static_cast<int>(format);
  info.tool_version = view.at("tool_version").string();
  info.name = view.at("name").string();
  if (!is_bundle_name(info.name)) view.at("name").fail("'" + info.name.substr(0, 80) + "' cannot name a bundle");
  info.version = view.at("version").string();
  if (!is_bundle_version(info.version))
    view.at("version").fail("'" + info.version.substr(0, 80) + "' cannot be a version");
  info.build = parse_strings(view.at("build"));
  info.requires_host = parse_requires(view.at("requires"));
  if (view.has("service")) info.service = parse_service(view.at("service"));
  if (view.has("model")) info.model = parse_model(view.at("model"));
  info.layers = view.at("layers").strings();
  const JsonView totals = view.at("totals").object();
  info.files = totals.at("files").number();
  info.bytes = totals.at("bytes").number();
  info.largest_file = totals.at("largest_file").number();
  return info;
}

}  // namespace holdall::bundle
