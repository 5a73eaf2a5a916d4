#include "packer/needle_search.h"

#include <algorithm>
#include <numeric>

namespace holdall::packer {
namespace {

constexpr std::size_t kBlock = 64;

// Whether the two bytes stand anywhere in at[0, kBlock]. Without branches, so that it is vectorised.
bool holds(const char* at, const std::array<char, 2>& head) {
  unsigned char found = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const auto first = static_cast<unsigned char>(at[i] == head[0]);
    const auto second = static_cast<unsigned char>(at[i + 1] == head[1]);
    found = static_cast<unsigned char>(found | (first & second));
  }
  return found != 0;
}

}  // namespace

NeedleSearch::NeedleSearch(std::vector<std::string> needles) : needles_(std::move(needles)) {
  longest_first_.resize(needles_.size());
  std::iota(longest_first_.begin(), longest_first_.end(), std::size_t{0});
  std::ranges::stable_sort(longest_first_, std::greater{}, [&](std::size_t i) { return needles_[i].size(); });
  for (const std::string& needle : needles_) {
    const std::array head{needle[0], needle[1]};
    if (std::ranges::find(heads_, head) == heads_.end()) heads_.push_back(head);
  }
}

NeedleHit NeedleSearch::next(std::string_view text, std::size_t from,
                             const std::function<bool(NeedleHit)>& accept) const {
  const auto block_holds_one = [&](std::size_t at) {
    return std::ranges::any_of(heads_, [&](const auto& head) { return holds(text.data() + at, head); });
  };
  for (std::size_t position = from; position < text.size();) {
    const std::size_t end = std::min(position + kBlock, text.size());
    if (text.size() - position <= kBlock || block_holds_one(position)) {
      for (std::size_t at = position; at < end; ++at) {
        for (const std::size_t needle : longest_first_) {
          if (text[at] != needles_[needle][0] || !text.substr(at).starts_with(needles_[needle])) continue;
          if (accept({at, needle})) return {at, needle};
        }
      }
    }
    position = end;
  }
  return {std::string_view::npos, 0};
}

}  // namespace holdall::packer
