// Progress of a long step on stderr: a bar on a terminal, a line now and then elsewhere, nothing with --quiet.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "launcher/options.h"

namespace holdall::launcher {

// Thread-safe. The destructor ends the bar's line.
class Progress {
 public:
  // `label`: what goes on, e.g. "unpacking".
  Progress(std::string label, Verbosity verbosity);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `total` may be 0: not known.
  void update(std::uint64_t done, std::uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(std::uint64_t done, std::uint64_t total, double seconds);

  const std::string label_;
  const Verbosity verbosity_;
  const bool terminal_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_{};
  bool drawn_ = false;
  std::mutex mutex_;
};

// "1.2 GB", in powers of ten.
std::string human_bytes(std::uint64_t bytes);

}  // namespace holdall::launcher
