#include "packer/path_search.h"

#include <algorithm>

#include "bundle/member_path.h"
#include "packer/path_boundary.h"

namespace holdall::packer {
namespace {

using bundle::TextEncoding;

// Without the zeros at both ends: so little- and big-endian text of plain letters share a needle, and no needle starts
// with the commonest of bytes.
std::string core_of(const std::string& bytes) {
  const std::size_t first = bytes.find_first_not_of('\0');
  return bytes.substr(first, bytes.find_last_not_of('\0') + 1 - first);
}

std::vector<std::string> needles_of(const std::vector<SoughtText>& texts, auto&& add) {
  std::vector<std::string> needles;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::vector<std::string> own;
    for (const TextEncoding encoding : bundle::kTextEncodings) {
      if (encoding != TextEncoding::k8Bit && !bundle::is_utf8(texts[i].text)) continue;
      std::string core = core_of(bundle::encode(texts[i].text, encoding));
      if (std::ranges::find(own, core) != own.end()) continue;
      add(i, unit_size(encoding));
      own.push_back(core);
      needles.push_back(std::move(core));
    }
  }
  return needles;
}

// The unit whose lowest byte that is not zero stands at `at`, as a character of a path; a control character for what
// none has.
constexpr char kNoName = '\x01';

char unit_at(std::string_view bytes, std::size_t at, std::size_t unit) {
  const char c = bytes[at];
  if (unit == 1) return c;
  return static_cast<unsigned char>(c) < 0x80 ? c : kNoName;
}

// Whether the bytes strictly between two characters of a wide text are zero.
bool apart(std::string_view bytes, std::size_t at, std::size_t next) {
  return bytes.substr(at + 1, next - at - 1).find_first_not_of('\0') == bytes.npos;
}

}  // namespace

PathSearch::PathSearch(std::vector<SoughtText> texts)
    : texts_(std::move(texts)), search_(needles_of(texts_, [this](std::size_t text, std::size_t unit) {
        needles_.push_back({text, unit});
      })) {
  for (std::size_t i = 0; i < needles_.size(); ++i)
    lookahead_ = std::max(lookahead_, search_.needles()[i].size() + 2 * needles_[i].unit);
}

bool PathSearch::stands_alone(std::string_view bytes, const NeedleHit& hit) const {
  const auto [index, unit] = needles_[hit.needle];
  const std::size_t size = search_.needles()[hit.needle].size();
  const bool word = texts_[index].kind == Sought::kWord;
  if (unit == 1) {
    const std::size_t behind = std::min(hit.position, kLookBehind);
    const std::string_view around = bytes.substr(hit.position - behind);
    return word ? is_word_at(around, behind, size) : is_path_at(around, behind, size);
  }
  // The text around, in one byte a character: what the boundaries are decided by.
  std::string before, after;
  for (std::size_t at = hit.position; at >= unit && before.size() < kLookBehind / unit; at -= unit) {
    if (!apart(bytes, at - unit, at)) break;
    before += unit_at(bytes, at - unit, unit);
    if (!is_name_character(before.back()) && before.back() != '.') break;
  }
  std::ranges::reverse(before);
  const std::size_t last = hit.position + size - 1;
  for (std::size_t at = last; at + unit < bytes.size() && after.size() < 2; at += unit) {
    if (!apart(bytes, at, at + unit)) break;
    after += unit_at(bytes, at + unit, unit);
  }
  const std::string around = before + std::string(1, 'x') + after;
  return word ? is_word_at(around, before.size(), 1) : is_path_at(around, before.size(), 1);
}

SearchHit PathSearch::next(std::string_view bytes, std::size_t from) const {
  const NeedleHit hit = search_.next(bytes, from, [&](NeedleHit found) { return stands_alone(bytes, found); });
  if (hit.position == bytes.npos) return {.position = bytes.npos, .size = 0, .text = 0, .unit = 1};
  const Needle& needle = needles_[hit.needle];
  return {
      .position = hit.position, .size = search_.needles()[hit.needle].size(), .text = needle.text, .unit = needle.unit};
}

std::optional<EncodedPlace> encoding_at(std::string_view bytes, const SearchHit& hit, const std::string& text) {
  for (const TextEncoding encoding : bundle::kTextEncodings) {
    if (unit_size(encoding) != hit.unit) continue;
    const std::string whole = bundle::encode(text, encoding);
    const std::size_t lead = whole.find_first_not_of('\0');
    if (hit.position < lead || (hit.position - lead) % hit.unit != 0) continue;
    if (bytes.substr(hit.position - lead, whole.size()) == whole)
      return EncodedPlace{encoding, hit.position - lead, whole.size()};
  }
  return std::nullopt;
}

}  // namespace holdall::packer
