#include "launcher/canary/request_counts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace holdall::launcher {
namespace {

constexpr double kMostRequests = 1e15;

// The value of a label; labels: `a="x",b="y"`.
std::optional<std::string_view> label(std::string_view labels, std::string_view name) {
  for (std::size_t at = 0; (at = labels.find(name, at)) != std::string_view::npos; ++at) {
    const bool starts = at == 0 || labels[at - 1] == ',' || labels[at - 1] == ' ';
    std::string_view rest = labels.substr(at + name.size());
    if (!starts || !rest.starts_with("=\"")) continue;
    rest.remove_prefix(2);
    return rest.substr(0, rest.find('"'));
  }
  return std::nullopt;
}

std::optional<std::string_view> status_of(std::string_view labels) {
  for (const char* const name : {"code", "status", "status_code"})
    if (const auto value = label(labels, name)) return value;
  return std::nullopt;
}

bool is_about_health(std::string_view labels) {
  constexpr std::array<std::string_view, 7> kPlaces{"\"/metrics", "\"/health",   "\"/v2/health", "\"/livez",
                                                    "\"/readyz",  "\"/startupz", "\"/ping"};
  return std::ranges::any_of(kPlaces,
                             [&](std::string_view place) { return labels.find(place) != std::string_view::npos; });
}

void add(std::string_view line, RequestCounts& counts) {
  const std::size_t open = line.find('{'), close = line.rfind('}');
  if (line.starts_with('#') || open == std::string_view::npos || close == std::string_view::npos || close < open)
    return;
  const std::string_view labels = line.substr(open + 1, close - open - 1);
  const auto status = status_of(labels);
  if (!line.substr(0, open).ends_with("requests_total") || !status || is_about_health(labels)) return;
  std::string_view number = line.substr(close + 1);
  number.remove_prefix(std::min(number.find_first_not_of(' '), number.size()));
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc{} || !(value >= 0) || value > kMostRequests) return;
  counts.requests += static_cast<std::uint64_t>(value);
  if (status->starts_with('5')) counts.errors += static_cast<std::uint64_t>(value);
}

}  // namespace

RequestCounts count_requests(std::string_view metrics) {
  RequestCounts counts;
  while (!metrics.empty()) {
    const std::size_t end = metrics.find('\n');
    add(metrics.substr(0, end), counts);
    metrics.remove_prefix(std::min(metrics.size(), end == std::string_view::npos ? metrics.size() : end + 1));
  }
  return counts;
}

}  // namespace holdall::launcher
