#include "runtime/service/jobs/job_record.h"

#include <array>
#include <charconv>
#include <utility>

namespace holdall::runtime::service {
namespace {

constexpr std::array kNames{
    std::pair{JobStatus::kQueued, std::string_view("queued")},
    std::pair{JobStatus::kRunning, std::string_view("running")},
    std::pair{JobStatus::kSucceeded, std::string_view("succeeded")},
    std::pair{JobStatus::kFailed, std::string_view("failed")},
    std::pair{JobStatus::kCancelled, std::string_view("cancelled")},
    std::pair{JobStatus::kExpired, std::string_view("expired")},
};

std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

std::string_view name_of(JobStatus status) noexcept {
  for (const auto& [value, name] : kNames)
    if (value == status) return name;
  return "failed";
}

std::optional<JobStatus> job_status_named(std::string_view name) noexcept {
  for (const auto& [value, known] : kNames)
    if (known == name) return value;
  return std::nullopt;
}

std::string EventId::text() const {
  return std::to_string(epoch) + "-" + std::to_string(number);
}

std::optional<EventId> EventId::parse(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  const auto epoch = parse_number(text.substr(0, dash)), number = parse_number(text.substr(dash + 1));
  if (!epoch || !number) return std::nullopt;
  return EventId{*epoch, *number};
}

}  // namespace holdall::runtime::service
