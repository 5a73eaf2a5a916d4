#include "launcher/progress.h"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>

namespace holdall::launcher {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(5);
constexpr int kBarWidth = 24;

std::string human_seconds(double seconds) {
  const auto whole = std::llround(seconds);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%lld:%02lld", whole / 60, whole % 60);
  return text.data();
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

Progress::Progress(std::string label, Verbosity verbosity)
    : label_(std::move(label)), verbosity_(verbosity), terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_ && terminal_) std::cerr << '\n';
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (verbosity_ == Verbosity::kQuiet) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const bool finished = total != 0 && done >= total;
  // Elsewhere than on a terminal a step that ends within the first interval leaves one line: its end.
  const auto last = last_ == Clock::time_point{} ? start_ : last_;
  const auto wait = terminal_ ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval);
  if (!finished && now - last < wait) return;
  last_ = now;
  drawn_ = true;
  draw(done, total, std::chrono::duration<double>(now - start_).count());
}

void Progress::draw(std::uint64_t done, std::uint64_t total, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line = label_ + ": " + human_bytes(done);
  if (total != 0) line += " of " + human_bytes(total);
  line += ", " + human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  if (total > done && rate > 0) line += ", " + human_seconds(static_cast<double>(total - done) / rate) + " left";
  if (!terminal_) {
    std::cerr << line << '\n';
    return;
  }
  std::string bar;
  if (total != 0) {
    const auto filled = static_cast<std::size_t>(static_cast<double>(done) / static_cast<double>(total) * kBarWidth);
    bar = "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
  }
  std::cerr << '\r' << bar << line << "\x1b[K" << std::flush;
}

}  // namespace holdall::launcher
