// Finds any of a few strings in gigabytes. Blocks in which no needle's first two bytes stand are skipped by a loop that
// compilers turn into vector instructions, so most bytes cost a few comparisons, sixteen at a time.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::packer {

struct NeedleHit {
  std::size_t position = 0;
  std::size_t needle = 0;  // index
};

class NeedleSearch {
 public:
  // Needles of at least two bytes.
  explicit NeedleSearch(std::vector<std::string> needles);

  // The first hit whose position is at least `from` and that `accept` takes; position == npos if there is none. Of
  // several needles at one place the longest is offered first.
  NeedleHit next(std::string_view text, std::size_t from, const std::function<bool(NeedleHit)>& accept) const;

  const std::vector<std::string>& needles() const { return needles_; }

 private:
  std::vector<std::string> needles_;
  std::vector<std::size_t> longest_first_;
  std::vector<std::array<char, 2>> heads_;  // the different first two bytes
};

}  // namespace holdall::packer
