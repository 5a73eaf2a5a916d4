#include "packer/needle_search.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace holdall::packer {
namespace {

std::size_t pair_at(const char* at) {
  return static_cast<std::size_t>(static_cast<unsigned char>(at[0])) << 8 | static_cast<unsigned char>(at[1]);
}

}  // namespace

NeedleSearch::NeedleSearch(std::vector<std::string> needles) : needles_(std::move(needles)) {
  if (needles_.empty()) return;
  longest_first_.resize(needles_.size());
  std::iota(longest_first_.begin(), longest_first_.end(), std::size_t{0});
  std::ranges::stable_sort(longest_first_, std::greater{}, [&](std::size_t i) { return needles_[i].size(); });
  window_ = std::ranges::min(needles_, {}, &std::string::size).size();
  window_ = std::min<std::size_t>(window_, std::numeric_limits<std::uint8_t>::max());
  shift_.assign(65536, static_cast<std::uint8_t>(window_ - 1));
  for (const std::string& needle : needles_) {
    for (std::size_t end = 2; end <= window_; ++end) {
      std::uint8_t& shift = shift_[pair_at(needle.data() + end - 2)];
      shift = std::min(shift, static_cast<std::uint8_t>(window_ - end));
    }
  }
}

NeedleHit NeedleSearch::next(std::string_view text, std::size_t from,
                             const std::function<bool(NeedleHit)>& accept) const {
  if (window_ == 0) return {std::string_view::npos, 0};
  for (std::size_t end = from + window_; end <= text.size();) {
    const std::uint8_t shift = shift_[pair_at(text.data() + end - 2)];
    if (shift != 0) {
      end += shift;
      continue;
    }
    const std::size_t position = end - window_;
    for (const std::size_t needle : longest_first_) {
      if (text.substr(position).starts_with(needles_[needle]) && accept({position, needle})) return {position, needle};
    }
    ++end;
  }
  return {std::string_view::npos, 0};
}

}  // namespace holdall::packer
