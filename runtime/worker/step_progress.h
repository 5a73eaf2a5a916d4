// The steps of one edit on stderr: a bar on a terminal, plain lines otherwise, nothing when quiet.
#pragma once

#include <chrono>

namespace holdall::runtime::worker {

enum class ProgressStyle { kNone, kLines, kBar };

// The style for stderr as it is.
ProgressStyle progress_style(bool quiet);

class StepProgress {
 public:
  explicit StepProgress(ProgressStyle style) : style_(style) {}
  void step(int step, int total);

 private:
  ProgressStyle style_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace holdall::runtime::worker
