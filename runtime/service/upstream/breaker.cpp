#include "runtime/service/upstream/breaker.h"

namespace holdall::runtime::service {

Breaker::State Breaker::state(Clock::time_point now) const {
  return !open_ ? State::kClosed : now < until_ ? State::kOpen : State::kHalfOpen;
}

bool Breaker::would_pass(Clock::time_point now) const {
  const State is = state(now);
  return is == State::kClosed || (is == State::kHalfOpen && !trying_);
}

bool Breaker::try_pass(Clock::time_point now) {
  if (!would_pass(now)) return false;
  trying_ = open_;
  return true;
}

void Breaker::succeeded() {
  failures_ = 0;
  open_ = trying_ = false;
}

void Breaker::failed(Clock::time_point now) {
  trying_ = false;
  if (++failures_ < limits_.failures_to_open && !open_) return;
  open_ = true;
  until_ = now + limits_.open;
}

}  // namespace holdall::runtime::service
