// How commands talk to a supervisor that runs.
#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "launcher/control_socket.h"
#include "launcher/status.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using nlohmann::json;

constexpr std::chrono::seconds kStatusTimeout{15};

// The answer to `request`; its error is thrown.
std::optional<json> ask(const Store& store, const json& request) {
  const auto line = ask_supervisor(store, request.dump(-1, ' ', false, json::error_handler_t::replace));
  if (!line) return std::nullopt;
  try {
    json answer = json::parse(*line);
    if (answer.contains("error"))
      throw Error(static_cast<ErrorKind>(answer.at("exit_code").get<int>()), answer["error"].get<std::string>());
    return answer;
  } catch (const json::exception&) {
    throw Error(ErrorKind::kInternal, "the supervisor's answer is not understood: " + *line);
  }
}

std::optional<SwitchReport> ask_swap(const Store& store, const json& request) {
  const auto answer = ask(store, request);
  if (!answer) return std::nullopt;
  SwitchReport report;
  report.generation.number = answer->at("generation").get<std::uint64_t>();
  report.generation.release = answer->at("release").get<std::string>();
  report.switch_milliseconds = answer->at("switch_milliseconds").get<double>();
  return report;
}

}  // namespace

std::optional<std::string> ask_supervisor(const Store& store, const std::string& request_json,
                                          std::optional<std::chrono::milliseconds> timeout) {
  const auto socket = connect_control(store.directory_fd());
  if (!socket) return std::nullopt;
  return exchange_line(*socket, request_json, timeout);
}

std::optional<SwitchReport> use_running(const Store& store, const std::string& release,
                                        const std::optional<CanaryTerms>& canary) {
  json request = {{"command", "use"}, {"release", release}};
  if (canary)
    request["canary"] = {{"percent", canary->percent},
                         {"seconds", std::chrono::ceil<std::chrono::seconds>(canary->time).count()}};
  return ask_swap(store, request);
}

std::optional<SwitchReport> rollback_running(const Store& store, const std::optional<std::string>& to) {
  json request = {{"command", "rollback"}};
  if (to) request["to"] = *to;
  return ask_swap(store, request);
}

std::optional<SwitchReport> restart_running(const Store& store) {
  return ask_swap(store, {{"command", "restart"}});
}

bool stop_running(const Store& store, std::optional<std::chrono::seconds> timeout) {
  json request = {{"command", "stop"}};
  if (timeout) request["timeout"] = timeout->count();
  return ask(store, request).has_value();
}

std::string status_json(const Store& store) {
  const auto answer = ask_supervisor(store, R"({"command":"status"})", kStatusTimeout);
  return answer ? *answer : to_json(stopped_status(store));
}

}  // namespace holdall::launcher
