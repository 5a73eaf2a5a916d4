#include "launcher/service_command.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;

// A path below the tree: relative, and no ".." in it.
void require_inside(const std::string& path) {
  bool inside = !path.empty() && path.front() != '/';
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (std::string_view(path).substr(begin, end - begin) == "..") inside = false;
    begin = end + 1;
  }
  if (!inside) throw Error(ErrorKind::kBadBundle, "service program '" + path + "' is not a path inside the bundle");
}

// `text` with the placeholders filled in, in one pass: braces in a value stay as they are.
std::string filled(std::string_view text, const std::map<std::string_view, std::string>& values) {
  std::string result;
  while (!text.empty()) {
    const auto value =
        std::find_if(values.begin(), values.end(), [&](const auto& v) { return text.starts_with(v.first); });
    result += value == values.end() ? std::string(1, text.front()) : value->second;
    text.remove_prefix(value == values.end() ? 1 : value->first.size());
  }
  return result;
}

std::string model_folder(const bundle::BundleInfo& info, const ServiceOptions& options, const ServicePlace& place) {
  if (info.model && !info.model->external) return place.tree + "/" + info.model->path;
  return options.model;
}

}  // namespace

bool takes(const bundle::BundleInfo& info, const std::string& placeholder) {
  return info.service && !info.service->exec.empty() &&
         std::any_of(info.service->exec.begin() + 1, info.service->exec.end(),
                     [&](const std::string& argument) { return argument.find(placeholder) != std::string::npos; });
}

std::vector<std::string> service_arguments(const bundle::BundleInfo& info, const ServiceOptions& options,
                                           const ServicePlace& place) {
  const std::string bundle = "'" + info.name + "' " + info.version;
  if (!info.service || info.service->exec.empty())
    throw Error(ErrorKind::kBadBundle, "bundle " + bundle + " has no service to start");
  require_inside(info.service->exec.front());
  if (info.model && !info.model->external) require_inside(info.model->path);

  const std::string model = model_folder(info, options, place);
  if (model.empty() && (takes(info, "{model}") || (info.model && info.model->external)))
    throw Error(ErrorKind::kUsage, "bundle " + bundle + " needs a model" +
                                       (info.model && !info.model->name.empty() ? " (" + info.model->name + ")" : "") +
                                       ": give its folder with --model");
  if (options.device != "auto" && !takes(info, "{device}"))
    throw Error(ErrorKind::kUsage, "bundle " + bundle + " takes no --device");

  std::vector<std::string> arguments{place.tree + "/" + info.service->exec.front()};
  for (std::size_t i = 1; i < info.service->exec.size(); ++i)
    arguments.push_back(
        filled(info.service->exec[i], {{"{model}", model}, {"{state}", place.state}, {"{device}", options.device}}));
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  return arguments;
}

Environment service_environment(Environment inherited, const bundle::BundleInfo& info, const ServicePlace& place,
                                KeepEnvironment keep) {
  if (keep == KeepEnvironment::kNo)
    for (const char* name : {"LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHOME"}) inherited.erase(name);
  // Those of a service manager above us speak of our sockets and our readiness, and the launcher's own options would
  // be taken by the service's options of the same name.
  for (const char* name :
       {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "HOLDALL_HOST",
        "HOLDALL_PORT", "HOLDALL_HEALTH_PORT", "HOLDALL_DEVICE", "HOLDALL_MODEL", "HOLDALL_GOLDEN"})
    inherited.erase(name);
  if (info.model && !info.model->golden.empty()) inherited["HOLDALL_GOLDEN"] = info.model->golden;
  if (info.service)
    for (const auto& [name, value] : info.service->environment) inherited[name] = value;
  if (!place.driver.empty()) {
    std::string& path = inherited["LD_LIBRARY_PATH"];
    path = place.driver + (path.empty() ? "" : ":" + path);
  }
  inherited.try_emplace("CUDA_MODULE_LOADING", "LAZY");
  inherited.try_emplace("CUDA_CACHE_PATH", place.state + "/cuda-cache");
  return inherited;
}

Environment current_environment() {
  Environment result;
  for (char** item = ::environ; *item; ++item) {
    const std::string_view text(*item);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos && equals > 0) result.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

}  // namespace holdall::launcher
