#include "packer/needle_search.h"

#include <algorithm>
#include <numeric>

namespace holdall::packer {
namespace {

constexpr std::size_t kBlock = 64;

using Head = std::array<char, 2>;

// The first of `count` blocks at `text` in which a head stands, or `count`. The inner loop has no branches, so that it
// is vectorised; every byte that is packed passes here, so that twice the width where the processor has it is worth a
// copy. The one that chooses runs before ThreadSanitizer can.
#ifndef __SANITIZE_THREAD__
[[gnu::target_clones("avx2", "default")]]
#endif
std::size_t
block_with_head(const char* text, std::size_t count, const std::vector<Head>& heads) {
  for (std::size_t block = 0; block < count; ++block) {
    const char* const at = text + block * kBlock;
    unsigned char found = 0;
    for (const Head head : heads) {
      for (std::size_t i = 0; i < kBlock; ++i) {
        const auto first = static_cast<unsigned char>(at[i] == head[0]);
        const auto second = static_cast<unsigned char>(at[i + 1] == head[1]);
        found = static_cast<unsigned char>(found | (first & second));
      }
    }
    if (found != 0) return block;
  }
  return count;
}

}  // namespace

NeedleSearch::NeedleSearch(std::vector<std::string> needles) : needles_(std::move(needles)) {
  longest_first_.resize(needles_.size());
  std::iota(longest_first_.begin(), longest_first_.end(), std::size_t{0});
  std::ranges::stable_sort(longest_first_, std::greater{}, [&](std::size_t i) { return needles_[i].size(); });
  for (const std::string& needle : needles_) {
    const Head head{needle[0], needle[1]};
    if (std::ranges::find(heads_, head) == heads_.end()) heads_.push_back(head);
  }
}

NeedleHit NeedleSearch::next(std::string_view text, std::size_t from,
                             const std::function<bool(NeedleHit)>& accept) const {
  for (std::size_t position = from; position + 1 < text.size();) {
    // A head may end one byte behind its block, which the last one therefore does not skip.
    position += kBlock * block_with_head(text.data() + position, (text.size() - position - 1) / kBlock, heads_);
    const std::size_t end = std::min(position + kBlock, text.size() - 1);  // a needle is longer than a byte
    for (; position < end; ++position) {
      if (std::ranges::find(heads_, Head{text[position], text[position + 1]}) == heads_.end()) continue;
      for (const std::size_t needle : longest_first_) {
        if (!text.substr(position).starts_with(needles_[needle])) continue;
        if (accept({position, needle})) return {position, needle};
      }
    }
  }
  return {std::string_view::npos, 0};
}

}  // namespace holdall::packer
