#include "runtime/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "runtime/error.h"

namespace holdall::runtime::text {
namespace {

// Length of the well-formed sequence at the front of `text`, or −(length of the ill-formed part to replace).
// Unicode 15, table 3-7.
int sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  unsigned char low = 0x80, high = 0xbf;
  int length = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return -1;
  }
  for (int i = 1; i < length; ++i, low = 0x80, high = 0xbf) {
    const auto at = static_cast<std::size_t>(i);
    if (at >= text.size() || byte(at) < low || byte(at) > high) return -i;
  }
  return length;
}

using CodePoints = std::vector<utf8proc_int32_t>;

utf8proc_propval_t combining_class(utf8proc_int32_t code_point) {
  return utf8proc_get_property(code_point)->combining_class;
}

CodePoints decomposed(const std::string& text) {
  CodePoints out;
  out.reserve(text.size());
  const auto* data = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t code_point = 0;
    i += static_cast<std::size_t>(utf8proc_iterate(data + i, static_cast<utf8proc_ssize_t>(text.size() - i), &code_point));
    std::array<utf8proc_int32_t, 8> parts{};  // canonical decompositions have at most 4
    int last_boundary = 0;
    const auto count = utf8proc_decompose_char(code_point, parts.data(), parts.size(),
                                               static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE),
                                               &last_boundary);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
      throw Error(ErrorKind::kInternal, std::string("cannot normalize text: ") + utf8proc_errmsg(count));
    }
    out.insert(out.end(), parts.begin(), parts.begin() + count);
  }
  return out;
}

// Canonical ordering. utf8proc_decompose does it by exchanging neighbours, which is quadratic in a run of marks.
void order_marks(CodePoints& code_points) {
  for (auto it = code_points.begin(); it != code_points.end();) {
    if (combining_class(*it) == 0) {
      ++it;
      continue;
    }
    const auto end = std::find_if(it, code_points.end(), [](auto c) { return combining_class(c) == 0; });
    std::stable_sort(it, end, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    it = end;
  }
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const int length = sequence_length(text);
    const auto taken = static_cast<std::size_t>(length > 0 ? length : -length);
    out += length > 0 ? text.substr(0, taken) : std::string_view("\xef\xbf\xbd");
    text.remove_prefix(taken);
  }
  return out;
}

std::string nfc(const std::string& text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return text;
  CodePoints code_points = decomposed(text);
  order_marks(code_points);
  const auto count = utf8proc_normalize_utf32(code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()),
                                              static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  if (count < 0) throw Error(ErrorKind::kInternal, std::string("cannot normalize text: ") + utf8proc_errmsg(count));
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    std::array<utf8proc_uint8_t, 4> bytes{};
    const auto size = utf8proc_encode_char(code_points[static_cast<std::size_t>(i)], bytes.data());
    out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
  }
  return out;
}

}  // namespace holdall::runtime::text
