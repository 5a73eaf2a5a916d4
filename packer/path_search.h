// Finds paths and words in bytes of any kind: as they are, and as UTF-16 and UTF-32 of either byte order; at the
// boundaries of path_boundary.h. The leak audit and the rewriting search by it, so that they agree.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/text_encoding.h"
#include "packer/needle_search.h"

namespace holdall::packer {

enum class Sought { kPath, kWord };

struct SoughtText {
  std::string text;
  Sought kind = Sought::kPath;
};

// Where a text stands: the bytes from the first to the last that differ from zero. How wide its units are is certain;
// the byte order of characters below U+0100 follows from what stands around (encoding_at).
struct SearchHit {
  std::size_t position = 0, size = 0;  // bytes; position npos: none
  std::size_t text = 0;                // index
  std::size_t unit = 1;                // bytes
};

class PathSearch {
 public:
  // Texts of at least two bytes. One that is not UTF-8 is looked for as it is only.
  explicit PathSearch(std::vector<SoughtText> texts);

  const std::vector<SoughtText>& texts() const { return texts_; }
  bool empty() const { return texts_.empty(); }

  // The first hit at or behind `from`. Of several texts at one place the longest.
  SearchHit next(std::string_view bytes, std::size_t from) const;

  // How many bytes from a hit's position on decide whether it is one.
  std::size_t lookahead() const { return lookahead_; }
  static constexpr std::size_t kLookBehind = 4096;  // PATH_MAX: how many bytes before it do

 private:
  struct Needle {
    std::size_t text = 0, unit = 1;
  };
  bool stands_alone(std::string_view bytes, const NeedleHit& hit) const;

  std::vector<SoughtText> texts_;
  std::vector<Needle> needles_;  // as in search_
  NeedleSearch search_;
  std::size_t lookahead_ = 0;
};

// A hit as text of an encoding whose units are counted from the start of `bytes`: where the first unit begins. nullopt:
// the hit fits no encoding there (a wide text at an odd place).
struct EncodedPlace {
  bundle::TextEncoding encoding = bundle::TextEncoding::k8Bit;
  std::size_t begin = 0, size = 0;
};
std::optional<EncodedPlace> encoding_at(std::string_view bytes, const SearchHit& hit, const std::string& text);

}  // namespace holdall::packer
