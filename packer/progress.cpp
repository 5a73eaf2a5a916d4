#include "packer/progress.h"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>

namespace holdall::packer {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kTerminalPeriod{100};
constexpr std::chrono::seconds kPlainPeriod{10};

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

Progress::Progress(Verbosity verbosity, std::uint64_t total_bytes)
    : verbosity_(verbosity),
      terminal_(::isatty(STDERR_FILENO) == 1),
      total_(total_bytes),
      started_(Clock::now()),
      next_(started_ + (terminal_ ? Clock::duration(kTerminalPeriod) : Clock::duration(kPlainPeriod))) {}

Progress::~Progress() {
  finish();
}

void Progress::finish() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
  verbosity_ = Verbosity::kQuiet;
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - started_).count();
}

void Progress::advance(std::uint64_t bytes) {
  done_ += bytes;
  if (verbosity_ == Verbosity::kQuiet || Clock::now() < next_) return;
  next_ = Clock::now() + (terminal_ ? Clock::duration(kTerminalPeriod) : Clock::duration(kPlainPeriod));
  draw();
}

void Progress::draw() {
  if (done_ == 0) return;  // nothing to tell, and no rate
  const double rate = static_cast<double>(done_) / seconds();
  const long left = std::lround(static_cast<double>(total_ - done_) / rate);
  const std::string line = human_bytes(done_) + " of " + human_bytes(total_) + ", " +
                           human_bytes(static_cast<std::uint64_t>(rate)) + "/s, " + std::to_string(left) + " s left";
  std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "%s\n", line.c_str());
  drawn_ = terminal_;
}

}  // namespace holdall::packer
