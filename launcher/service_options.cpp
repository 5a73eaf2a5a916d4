#include "launcher/service_options.h"

#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "bundle/temporary_name.h"
#include "launcher/disk.h"

namespace holdall::launcher {
namespace {

constexpr const char* kName = "service.json";
constexpr std::size_t kLimit = 1 << 20;

}  // namespace

void save_service_options(const Store& store, const ServiceOptions& options) try {
  const nlohmann::ordered_json json = {{"model", options.model},         {"host", options.host},
                                       {"port", options.port},           {"health_port", options.health_port},
                                       {"device", options.device},       {"arguments", options.arguments},
                                       {"libcuda", options.libcuda},     {"keep_environment", options.keep_environment},
                                       {"log_bytes", options.log_bytes}, {"log_files", options.log_files}};
  const std::string temporary = std::string(".") + kName + "." + bundle::random_name();
  store.disk().write_file({store.directory_fd(), temporary}, json.dump(2) + "\n");
  store.disk().replace({store.directory_fd(), temporary}, {store.directory_fd(), kName});
  store.disk().sync(store.directory_fd(), "store");
} catch (const nlohmann::json::type_error&) {
  throw bundle::Error(bundle::ErrorKind::kUsage, "cannot remember the service's options: a name in them is not UTF-8");
}

std::optional<ServiceOptions> load_service_options(const Store& store) {
  if (!exists({store.directory_fd(), kName})) return std::nullopt;
  const std::string text = read_file({store.directory_fd(), kName}, kLimit);
  try {
    const auto json = nlohmann::json::parse(text);
    ServiceOptions options;
    json.at("model").get_to(options.model);
    json.at("host").get_to(options.host);
    json.at("port").get_to(options.port);
    json.at("health_port").get_to(options.health_port);
    json.at("device").get_to(options.device);
    json.at("arguments").get_to(options.arguments);
    options.libcuda = json.value("libcuda", options.libcuda);
    options.keep_environment = json.value("keep_environment", options.keep_environment);
    options.log_bytes = json.value("log_bytes", options.log_bytes);
    options.log_files = json.value("log_files", options.log_files);
    return options;
  } catch (const nlohmann::json::exception& error) {
    throw bundle::Error(bundle::ErrorKind::kStorage, "'" + store.path() + "/" + kName + "' is damaged: " +
                                                         error.what() + ": run the bundle again to write it anew");
  }
}

}  // namespace holdall::launcher
