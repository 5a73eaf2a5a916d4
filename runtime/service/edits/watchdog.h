// How long a worker that runs an edit may be silent before it is taken for hung.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

namespace holdall::runtime::service {

class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;
  // Steps of one edit take alike: ten times their median is a hang. Nobody knows before how long the rest takes, which
  // depends on the pictures: there it is ten times the longest silence that ended well. Never less than these, since a
  // busy machine holds up anybody.
  static constexpr int kFactor = 10;
  static constexpr std::chrono::seconds kLeastForStep{5}, kLeastForRest{60}, kBeforeAnythingIsKnown{600};

  void edit_sent(Clock::time_point now);
  // Anything that the worker said. `before_step`: a denoising step is next.
  void heard(Clock::time_point now, bool before_step);

  // When the silence will have lasted too long.
  Clock::time_point deadline() const;

 private:
  Clock::duration patience() const;

  Clock::time_point last_;
  bool in_step_ = false;
  std::vector<Clock::duration> steps_;            // of this edit
  std::optional<Clock::duration> longest_other_;  // silence, of all edits
};

}  // namespace holdall::runtime::service
