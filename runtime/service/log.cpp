#include "runtime/service/log.h"

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

namespace holdall::runtime::service {
namespace {

void write_line(const char* level, std::string_view event, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json line = {{"time", now_utc()}, {"level", level}, {"event", event}};
  line.update(fields);
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  // A log that cannot be written must not stop the service.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

std::string now_utc() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + n, sizeof text - n, ".%03dZ", static_cast<int>(millis));
  return text;
}

void log_event(std::string_view event, const nlohmann::ordered_json& fields) {
  write_line("info", event, fields);
}
void log_warning(std::string_view event, const nlohmann::ordered_json& fields) {
  write_line("warning", event, fields);
}

}  // namespace holdall::runtime::service
