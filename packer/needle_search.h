// Finds any of a few strings in gigabytes (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994): the
// last two bytes of the window tell how far it may jump, so most bytes are never looked at.
#pragma once

#include <cstddef>
#include <cstdint>
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
  std::size_t window_ = 0;           // length of the shortest needle
  std::vector<std::uint8_t> shift_;  // by the window's last two bytes
};

}  // namespace holdall::packer
