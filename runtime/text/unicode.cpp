#include "runtime/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
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

// Combining marks of Unicode 10 to 15. The reference's tables are those of Unicode 9, to which they are unassigned:
// they stay where they are, and nothing composes or is reordered across them.
constexpr std::pair<utf8proc_int32_t, utf8proc_int32_t> kNewerMarks[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},     {0xc3c, 0xc3c},
    {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},   {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},
    {0xa82c, 0xa82c},   {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50},
    {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
    {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0}, {0x11a34, 0x11a34}, {0x11a47, 0x11a47},
    {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42},
    {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef},
    {0x1e4ec, 0x1e4ef},
};

bool is_newer_mark(utf8proc_int32_t code_point) {
  const auto* range = std::lower_bound(std::begin(kNewerMarks), std::end(kNewerMarks), code_point,
                                       [](const auto& r, utf8proc_int32_t c) { return r.second < c; });
  return range != std::end(kNewerMarks) && range->first <= code_point;
}

void append_decomposed(utf8proc_int32_t code_point, CodePoints& out) {
  std::array<utf8proc_int32_t, 8> parts{};  // canonical decompositions have at most 4
  int last_boundary = 0;
  const auto count =
      utf8proc_decompose_char(code_point, parts.data(), parts.size(),
                              static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &last_boundary);
  if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
    throw Error(ErrorKind::kInternal, std::string("cannot normalize text: ") + utf8proc_errmsg(count));
  }
  out.insert(out.end(), parts.begin(), parts.begin() + count);
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

void append_utf8(utf8proc_int32_t code_point, std::string& out) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto size = utf8proc_encode_char(code_point, bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
}

// Orders and composes what has been decomposed, and empties it.
void flush(CodePoints& code_points, std::string& out) {
  order_marks(code_points);
  const auto count = utf8proc_normalize_utf32(code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()),
                                              static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  if (count < 0) throw Error(ErrorKind::kInternal, std::string("cannot normalize text: ") + utf8proc_errmsg(count));
  for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(code_points[static_cast<std::size_t>(i)], out);
  code_points.clear();
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
  std::string out;
  out.reserve(text.size());
  CodePoints pending;
  const auto* data = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t code_point = 0;
    i += static_cast<std::size_t>(
        utf8proc_iterate(data + i, static_cast<utf8proc_ssize_t>(text.size() - i), &code_point));
    if (is_newer_mark(code_point)) {
      flush(pending, out);
      append_utf8(code_point, out);
    } else {
      append_decomposed(code_point, pending);
    }
  }
  flush(pending, out);
  return out;
}

}  // namespace holdall::runtime::text
