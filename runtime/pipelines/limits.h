// What an edit may ask for. The defaults in a model's holdall.json keep to it too: what it may say, an edit can do.
#pragma once

#include <cstdint>
#include <string>

namespace holdall::runtime::pipelines {

struct Range {
  double least, most;                                                            // whole numbers
  bool contains(double value) const { return value >= least && value <= most; }  // never NaN
  std::string text() const {
    return std::to_string(static_cast<std::int64_t>(least)) + " to " + std::to_string(static_cast<std::int64_t>(most));
  }
};

inline constexpr Range kPictures{1, 64};
inline constexpr Range kSteps{1, 1000};
inline constexpr Range kTrueCfgScale{0, 1000};
inline constexpr Range kArea{256, 1e9};     // pixels of a reference, as the autoencoder or the vision encoder sees it
inline constexpr int kLongestSide = 16384;  // of the result, pixels; its shortest is a token's, which the model decides

}  // namespace holdall::runtime::pipelines
