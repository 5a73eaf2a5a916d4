// A decoded picture: 8-bit RGB, rows top to bottom, no padding. What every pipeline takes and gives.
#pragma once

#include <cstdint>
#include <vector>

namespace holdall::runtime::image {

struct Picture {
  int width = 0, height = 0;      // pixels
  std::vector<std::uint8_t> rgb;  // height × width × 3
};

// Width to height.
inline double ratio(const Picture& picture) {
  return static_cast<double>(picture.width) / picture.height;
}

}  // namespace holdall::runtime::image
