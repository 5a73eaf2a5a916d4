// The TOC's JSON piece by piece: that of a million files is 400 MB, and need not stand in memory.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "bundle/toc.h"

namespace holdall::bundle {

class TocJson {
 public:
  using Sink = std::function<void(std::string_view piece)>;
  explicit TocJson(Sink sink);

  void add(const Entry& entry);  // in archive order
  void finish();                 // once, last

 private:
  void append(std::string_view line);
  void flush();

  Sink sink_;
  std::string piece_;
  bool first_ = true;
};

}  // namespace holdall::bundle
