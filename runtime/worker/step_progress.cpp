#include "runtime/worker/step_progress.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace holdall::runtime::worker {

ProgressStyle progress_style(bool quiet) {
  if (quiet) return ProgressStyle::kNone;
  return ::isatty(STDERR_FILENO) == 1 ? ProgressStyle::kBar : ProgressStyle::kLines;
}

void StepProgress::step(int step, int total) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (style_ == ProgressStyle::kLines) std::fprintf(stderr, "step %d of %d, %.2f s\n", step, total, seconds);
  if (style_ != ProgressStyle::kBar) return;
  constexpr int kWidth = 30;
  const int full = kWidth * step / total;
  std::fprintf(stderr, "\r[%s%s] step %d of %d, %.1f s, %.1f s left ",
               std::string(static_cast<std::size_t>(full), '#').c_str(),
               std::string(static_cast<std::size_t>(kWidth - full), '.').c_str(), step, total, seconds,
               seconds / step * (total - step));
  if (step == total) std::fputc('\n', stderr);
}

}  // namespace holdall::runtime::worker
