#include "launcher/status.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "launcher/disk.h"
#include "launcher/install_record.h"
#include "launcher/supervisor.h"

namespace holdall::launcher {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kLongestReport = 64 * 1024;

// The newest report of a failed gate and its generation.
struct BadReport {
  std::uint64_t generation = 0;
  std::string reason;
};

std::optional<BadReport> newest_bad_report(const Store& store) {
  const bundle::FileDescriptor folder = open_folder({store.directory_fd(), "state"});
  std::optional<BadReport> newest;
  for (const std::string& name : names_in({store.directory_fd(), "state"})) {
    std::uint64_t number = 0;
    const char* end = name.data() + name.size();
    if (!name.starts_with("bad.") || std::from_chars(name.data() + 4, end, number).ptr != end) continue;
    if (!newest || number > newest->generation) newest = BadReport{number, name};
  }
  if (!newest) return std::nullopt;
  newest->reason = read_file({folder.get(), newest->reason}, kLongestReport);
  while (!newest->reason.empty() && newest->reason.back() == '\n') newest->reason.pop_back();
  if (newest->reason.empty()) newest->reason = "generation " + std::to_string(newest->generation) + " failed its gate";
  return newest;
}

template <typename Value>
ordered_json known(const Value& value) {
  return value == Value{} ? ordered_json(nullptr) : ordered_json(value);
}

std::string utc_time(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  char text[32] = "";
  ::gmtime_r(&time, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

ordered_json canary_json(const ServiceStatus::Canary& canary) {
  return {{"release", canary.release},
          {"percent", canary.percent},
          {"pid", known(canary.pid)},
          {"seconds_left", canary.seconds_left ? ordered_json(*canary.seconds_left) : ordered_json(nullptr)},
          {"requests", canary.requests},
          {"errors", canary.errors}};
}

}  // namespace

std::string to_json(const ServiceStatus& status) {
  const ordered_json json = {
      {"name", status.name},
      {"state", status.state},
      {"release", status.generation ? ordered_json(status.generation->release) : ordered_json(nullptr)},
      {"generation", status.generation ? ordered_json(status.generation->number) : ordered_json(nullptr)},
      {"good", status.good},
      {"pid", known(status.pid)},
      {"url", known(status.url)},
      {"ready", status.ready},
      {"since", known(status.since)},
      {"last_error", status.last_error ? ordered_json(*status.last_error) : ordered_json(nullptr)},
      {"health_url", known(status.health_url)},
      {"supervisor_pid", known(status.supervisor_pid)},
      {"libc", status.libc ? ordered_json(bundle::libc_name(*status.libc)) : ordered_json(nullptr)},
      {"canary", status.canary ? canary_json(*status.canary) : ordered_json(nullptr)}};
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string status_text(const std::string& text) try {
  const ordered_json json = ordered_json::parse(text);
  const auto word = [](const ordered_json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  std::string result = json.at("name").get<std::string>() + ": " + json.at("state").get<std::string>() +
                       (json.at("ready").get<bool>() ? ", ready" : "") + "\n";
  const auto line = [&](const char* label, const char* key) {
    if (!json.at(key).is_null()) result += std::string("  ") + label + word(json.at(key)) + "\n";
  };
  line("release     ", "release");
  if (!json.at("generation").is_null())
    result +=
        "  generation  " + json["generation"].dump() + (json.at("good").get<bool>() ? ", good" : ", on trial") + "\n";
  line("url         ", "url");
  line("health      ", "health_url");
  line("pid         ", "pid");
  if (!json.at("since").is_null()) result += "  since       " + utc_time(json["since"].get<std::int64_t>()) + "\n";
  if (json.at("libc") == "bundled") result += "  libc        the bundle's own\n";
  if (const ordered_json& canary = json.at("canary"); !canary.is_null()) {
    result += "  canary      " + word(canary.at("release")) + ", " + canary.at("percent").dump() + " % of connections";
    result += canary.at("seconds_left").is_null()
                  ? std::string(", warming up or leaving\n")
                  : ", " + canary["seconds_left"].dump() + " s left, " + canary.at("errors").dump() + " of " +
                        canary.at("requests").dump() + " requests failed\n";
  }
  line("last error  ", "last_error");
  return result;
} catch (const ordered_json::exception&) {
  throw bundle::Error(bundle::ErrorKind::kInternal, "the supervisor's answer is not understood: " + text);
}

bool is_ready(const std::string& text) {
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  return json.is_object() && json.value("ready", false);
}

std::optional<bundle::LibcChoice> libc_of(const Store& store, const std::string& release) try {
  const bundle::FileDescriptor releases = open_folder({store.directory_fd(), "releases"});
  return read_install_record(open_folder({releases.get(), release})).libc;
} catch (const bundle::Error&) {
  return std::nullopt;  // damaged: verify says how
}

ServiceStatus stopped_status(const Store& store) {
  ServiceStatus status;
  status.name = service_name(store);
  status.state = "stopped";
  status.generation = store.current();
  status.good = status.generation && store.passed_gate(status.generation->number);
  if (status.generation) status.libc = libc_of(store, status.generation->release);
  // A report older than what is current has been dealt with.
  const auto newest = newest_bad_report(store);
  const std::uint64_t current = status.generation ? status.generation->number : 0;
  if (newest && newest->generation > current) {
    status.last_error = newest->reason;
    if (!status.generation) status.state = "failed";
  }
  return status;
}

std::string service_name(const Store& store) {
  return store.path().substr(store.path().rfind('/') + 1);
}

}  // namespace holdall::launcher
