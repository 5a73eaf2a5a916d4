#include "runtime/service/edits/watchdog.h"

#include <algorithm>

namespace holdall::runtime::service {

void Watchdog::edit_sent(Clock::time_point now) {
  last_ = now;
  in_step_ = false;
  steps_.clear();
}

void Watchdog::heard(Clock::time_point now, bool before_step) {
  const auto silence = now - last_;
  if (in_step_)
    steps_.push_back(silence);
  else
    longest_other_ = std::max(longest_other_.value_or(silence), silence);
  last_ = now;
  in_step_ = before_step;
}

Watchdog::Clock::duration Watchdog::patience() const {
  if (in_step_ && !steps_.empty()) {
    std::vector<Clock::duration> sorted = steps_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return std::max<Clock::duration>(kLeastForStep, kFactor * *middle);
  }
  if (!longest_other_) return kBeforeAnythingIsKnown;
  return std::max<Clock::duration>(kLeastForRest, kFactor * *longest_other_);
}

Watchdog::Clock::time_point Watchdog::deadline() const {
  return last_ + patience();
}

}  // namespace holdall::runtime::service
