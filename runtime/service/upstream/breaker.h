// A circuit breaker: what has failed several times in a row is left alone for a while; then one trial decides.
#pragma once

#include <chrono>

#include "runtime/service/http/http.h"

namespace holdall::runtime::service {

class Breaker {
 public:
  enum class State { kClosed = 0, kHalfOpen = 1, kOpen = 2 };  // as the metric has them

  struct Limits {
    int failures_to_open = 3;
    std::chrono::seconds open{30};
  };
  explicit Breaker(Limits limits) : limits_(limits) {}

  // May it be asked? While half open once only, until an answer is told or given up.
  bool try_pass(Clock::time_point now);
  // What try_pass() would say.
  bool would_pass(Clock::time_point now) const;

  void succeeded();
  void failed(Clock::time_point now);
  void given_up() { trying_ = false; }  // neither: who asked has left

  State state(Clock::time_point now) const;

 private:
  Limits limits_;
  int failures_ = 0;  // in a row
  bool open_ = false, trying_ = false;
  Clock::time_point until_{};  // open
};

}  // namespace holdall::runtime::service
