// A job as it is remembered: an edit that was accepted to be asked for later.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::runtime::service {

enum class JobStatus { kQueued, kRunning, kSucceeded, kFailed, kCancelled, kExpired };  // kExpired: its deadline passed

std::string_view name_of(JobStatus status) noexcept;
std::optional<JobStatus> job_status_named(std::string_view name) noexcept;

// "2-17": the 17th event of the second process that had the job. Later events have greater ids.
struct EventId {
  std::uint32_t epoch = 0, number = 0;
  auto operator<=>(const EventId&) const = default;  // NOLINT(modernize-use-nullptr): of a 0 that nobody wrote
  std::string text() const;
  static std::optional<EventId> parse(std::string_view text);
};

struct JobEvent {
  EventId id;
  std::string name;
  std::string data;  // JSON; empty for the last one of a job that succeeded, whose pictures are not held twice
};

struct JobRecord {
  std::string id, caller;
  std::string operation = "image_edit";  // what its events are named after
  JobStatus status = JobStatus::kQueued;
  std::int64_t created = 0;  // Unix time, as the others
  std::optional<std::int64_t> started, finished;
  std::optional<double> deadline;
  int attempts = 0;              // started so often
  std::uint32_t epoch = 1;       // how many processes have had it
  std::string error;             // of one that failed: JSON, the inner object of {"error":…}
  std::vector<JobEvent> events;  // of one that has ended
};

}  // namespace holdall::runtime::service
