// Tells a person on stderr how far a run is: a line that is drawn over on a terminal, a few plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace holdall::packer {

enum class Verbosity { kQuiet, kNormal, kVerbose };

class Progress {
 public:
  Progress(Verbosity verbosity, std::uint64_t total_bytes);
  ~Progress();  // as finish()

  void advance(std::uint64_t bytes);
  void finish();  // clears what is drawn; nothing is drawn afterwards
  double seconds() const;

 private:
  void draw();

  Verbosity verbosity_;
  bool terminal_ = false, drawn_ = false;
  std::uint64_t total_, done_ = 0;
  std::chrono::steady_clock::time_point started_, next_;
};

std::string human_bytes(std::uint64_t bytes);  // "1.3 GB": powers of 1000

}  // namespace holdall::packer
