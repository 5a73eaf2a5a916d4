// Which bytes of a file are there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace holdall::launcher {

struct ByteRange {
  std::uint64_t begin = 0, end = 0;
  std::uint64_t size() const { return end - begin; }
};

// Disjoint ranges, joined where they touch.
class RangeSet {
 public:
  void add(ByteRange range);
  void remove(const ByteRange& range);
  bool holds(const ByteRange& range) const;
  // The first part of `range` that is not held.
  std::optional<ByteRange> missing(ByteRange range) const;

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // begin → end
};

}  // namespace holdall::launcher
