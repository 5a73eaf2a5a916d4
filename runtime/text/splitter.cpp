#include "runtime/text/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "runtime/error.h"

namespace holdall::runtime::text {
namespace {

// Unicode's White_Space. PCRE2's \s has U+180E besides, which lost the property in Unicode 6.3 and is not in the
// reference's \s, so the classes are written out.
#define SPACE R"(\x{9}-\x{d} \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"

// pattern() with those classes for \s and \S.
constexpr char kPattern[] = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
                            R"(|[^\r\n\p{L}\p{N}]?\p{L}+)"
                            R"(|\p{N})"
                            R"(| ?[^)" SPACE R"(\p{L}\p{N}]+[\r\n]*)"
                            R"(|[)" SPACE R"(]*[\r\n]+)"
                            R"(|[)" SPACE R"(]+(?![^)" SPACE R"(]))"
                            R"(|[)" SPACE R"(]+)";
#undef SPACE

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 128> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

struct DeleteCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct DeleteMatch {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

}  // namespace

struct Splitter::State {
  std::unique_ptr<pcre2_code, DeleteCode> code;
};

const char* Splitter::pattern() {
  return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

Splitter::Splitter() : state_(std::make_unique<State>()) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  state_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                   &code, &offset, nullptr));
  if (!state_->code) {
    throw Error(ErrorKind::kInternal, "cannot compile the tokenizer's pattern: " + message_of(code));
  }
  pcre2_jit_compile(state_->code.get(), PCRE2_JIT_COMPLETE);  // where it cannot, matching is interpreted
}

Splitter::Splitter(Splitter&&) noexcept = default;
Splitter::~Splitter() = default;

std::vector<std::string_view> Splitter::split(std::string_view text) const {
  std::vector<std::string_view> words;
  const std::unique_ptr<pcre2_match_data, DeleteMatch> match(
      pcre2_match_data_create_from_pattern(state_->code.get(), nullptr));
  if (!match) throw Error(ErrorKind::kOutOfMemory, "cannot tokenize: out of memory");
  for (std::size_t start = 0; start < text.size();) {
    const auto find = [&](std::uint32_t options) {
      return pcre2_match(state_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), start,
                         options | PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED, match.get(), nullptr);
    };
    int found = find(0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = find(PCRE2_NO_JIT);
    // Every code point is a letter, a number, a space or none of these, so the pattern matches everywhere.
    const std::size_t end = found > 0 ? pcre2_get_ovector_pointer(match.get())[1] : start;
    if (end <= start) throw Error(ErrorKind::kInternal, "cannot split the text into words: " + message_of(found));
    words.push_back(text.substr(start, end - start));
    start = end;
  }
  return words;
}

}  // namespace holdall::runtime::text
