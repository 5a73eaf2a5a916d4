#include "packer/relocation/prefix_rewrite.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>

#include "bundle/prefix_check.h"

namespace holdall::packer {

using bundle::Relocation;
using bundle::RelocationKind;
using bundle::TextEncoding;

namespace {

constexpr std::size_t kWindow = std::size_t{4} << 20;  // of a file that is searched at a time
constexpr std::size_t kLongestString = std::size_t{64} << 10;
constexpr std::size_t kAhead = kLongestString + 4096;     // and what is read behind it: strings end there
constexpr std::size_t kBehind = PathSearch::kLookBehind;  // and before it
constexpr std::uint64_t kLargestScript = std::uint64_t{16} << 20;
constexpr std::size_t kShortestPlaceholder = 2;

std::vector<SoughtText> sought(const std::vector<PrefixSpelling>& prefixes) {
  std::vector<SoughtText> texts;
  for (const PrefixSpelling& prefix : prefixes) texts.push_back({prefix.text, Sought::kPath});
  return texts;
}

std::string read_range(const ReadableFile& file, std::uint64_t from, std::uint64_t to) {
  std::string bytes(static_cast<std::size_t>(to - from), '\0');
  bytes.resize(file.read_some(from, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

bool holds_nul_unit(const ReadableFile& file, TextEncoding encoding) {
  for (std::uint64_t at = 0; at < file.size(); at += kWindow) {
    const std::string part = read_range(file, at, std::min<std::uint64_t>(file.size(), at + kWindow));
    if (find_nul(part, encoding) != part.npos) return true;
  }
  return false;
}

// The search for the end of a string, which all hits in it share.
struct EndSearch {
  TextEncoding encoding = TextEncoding::k8Bit;
  std::uint64_t from = 0, to = 0;  // searched, in the file; `from` is the start of a unit
  bool found = false;              // a NUL at `to`

  // The NUL for a text that ends at `begin`, or the file's end; nullopt if it is too far away. `bytes`: the file from
  // `base` on.
  std::optional<std::uint64_t> next(TextEncoding wanted, std::uint64_t begin, std::string_view bytes,
                                    std::uint64_t base, std::uint64_t file_size) {
    const std::size_t unit = unit_size(wanted);
    const bool same_string = wanted == encoding && begin >= from && begin <= to && (begin - from) % unit == 0;
    if (!same_string) *this = {wanted, begin, begin, false};
    const std::uint64_t limit = std::min<std::uint64_t>(begin + kLongestString + unit, base + bytes.size());
    if (!found && to < limit) {
      const std::string_view rest =
          bytes.substr(static_cast<std::size_t>(to - base), static_cast<std::size_t>(limit - to));
      const std::size_t nul = find_nul(rest, wanted);
      found = nul != rest.npos;
      to += found ? nul : rest.size() / unit * unit;
    }
    if (to - begin > kLongestString || (!found && base + bytes.size() != file_size)) return std::nullopt;
    return to;
  }
};

// What stands behind the prefix of the tree where `prefix` was.
std::string tail_of(const PrefixSpelling& prefix, TextEncoding encoding) {
  return prefix.to.empty() ? "" : bundle::encode("/" + prefix.to, encoding);
}

}  // namespace

// One occurrence of a prefix.
struct PrefixRewriter::Found {
  std::uint64_t begin = 0;
  std::size_t size = 0;
  TextEncoding encoding = TextEncoding::k8Bit;
  std::size_t prefix = 0;                   // index
  std::optional<std::uint64_t> string_end;  // of its C string: where the NUL stands, or the file ends
};

struct PrefixRewriter::Scan {
  std::vector<Found> found;
  bool has_nul = false;
};

PrefixRewriter::PrefixRewriter(std::vector<PrefixSpelling> prefixes, ShebangForm shebang)
    : prefixes_(std::move(prefixes)), shebang_(shebang), search_(sought(prefixes_)) {}

PrefixRewriter::Scan PrefixRewriter::scan(const ReadableFile& file, const std::function<void()>& check) const {
  Scan result;
  EndSearch end;
  std::uint64_t resume = 0;
  for (std::uint64_t start = 0; start < file.size(); start += kWindow) {
    if (check) check();
    const std::uint64_t from = start - std::min<std::uint64_t>(start, kBehind);
    const std::uint64_t limit = std::min<std::uint64_t>(file.size(), start + kWindow);
    const std::uint64_t to = std::min<std::uint64_t>(file.size(), limit + kAhead);
    const std::string bytes = read_range(file, from, to);
    if (!result.has_nul) result.has_nul = bytes.find('\0') != bytes.npos;
    for (std::uint64_t at = std::max(start, resume); at < limit;) {
      const SearchHit hit = search_.next(bytes, static_cast<std::size_t>(at - from));
      if (hit.position == bytes.npos || from + hit.position >= limit) break;
      const auto place = encoding_at(bytes, hit, prefixes_[hit.text].text);
      at = from + hit.position + 1;
      if (!place) continue;
      Found found{from + place->begin, place->size, place->encoding, hit.text, std::nullopt};
      at = resume = found.begin + found.size;
      found.string_end = end.next(found.encoding, resume, bytes, from, file.size());
      result.found.push_back(found);
    }
  }
  return result;
}

PrefixRewrite PrefixRewriter::plan(const ReadableFile& file, const FileFacts& facts,
                                   const std::function<void()>& check) const {
  const Scan scan = this->scan(file, check);
  if (scan.found.empty()) return {};
  bool text = facts.kind == ContentKind::kText;
  if (facts.kind == ContentKind::kUnknown) {
    text = !scan.has_nul;
    if (scan.has_nul &&
        std::ranges::none_of(scan.found, [](const Found& found) { return found.encoding == TextEncoding::k8Bit; })) {
      const auto ends = [&](TextEncoding encoding) {
        return std::ranges::any_of(scan.found, [&](const Found& found) { return found.encoding == encoding; }) &&
               holds_nul_unit(file, encoding);
      };
      text = std::ranges::none_of(bundle::kTextEncodings, ends);
    }
  }
  return text ? plan_text(file, facts, scan) : plan_binary(file, facts, scan);
}

PrefixRewrite PrefixRewriter::plan_text(const ReadableFile& file, const FileFacts& facts, const Scan& scan) const {
  PrefixRewrite result;
  std::uint64_t grown = 0;  // modulo 2^64: it may shrink
  std::uint64_t done = 0;
  if (file.size() <= kLargestScript && read_range(file, 0, std::min<std::uint64_t>(2, file.size())) == "#!") {
    const std::string contents = read_range(file, 0, file.size());
    if (auto head = relocatable_shebang({contents, facts.bundle_path, prefixes_, shebang_})) {
      done = head->replaced;
      grown += head->text.size() - head->replaced;
      result.splices.push_back({0, head->replaced, std::move(head->text)});
    }
  }
  for (const Found& found : scan.found) {
    if (found.begin < done) continue;
    const std::string held = bundle::encode(bundle::kPlaceholder, found.encoding);
    result.relocations.push_back({.kind = RelocationKind::kText,
                                  .offset = found.begin + grown,
                                  .length = static_cast<std::uint32_t>(held.size()),
                                  .capacity = 0,
                                  .encoding = found.encoding});
    result.splices.push_back({found.begin, found.size, held + tail_of(prefixes_[found.prefix], found.encoding)});
    grown += result.splices.back().inserted.size() - found.size;
  }
  return result;
}

namespace {

// The end of a script's first line, blanks before it not counted; nullopt: not a script that is run.
std::optional<std::uint64_t> first_line_end(const ReadableFile& file, const std::string& bundle_path) {
  if (!bundle::is_script_place(bundle_path)) return std::nullopt;
  const std::string head = read_range(file, 0, std::min<std::uint64_t>(file.size(), 4096));
  const std::size_t end = head.find('\n');
  if (!head.starts_with("#!") || end == head.npos || head.find('\0') < end) return std::nullopt;
  return head.find_last_not_of(" \t\r", end - 1) + 1;
}

// How far beyond `end` there is nothing but NUL: `wanted` bytes and the string's own NUL, or none.
bool is_padded(const ReadableFile& file, std::uint64_t end, std::uint64_t wanted) {
  if (end + wanted > file.size()) return false;
  const std::string behind = read_range(file, end, std::min(file.size(), end + wanted + 1));
  return behind.size() >= wanted && behind.find_first_not_of('\0') == behind.npos;
}

}  // namespace

PrefixRewrite PrefixRewriter::plan_binary(const ReadableFile& file, const FileFacts& facts, const Scan& scan) const {
  PrefixRewrite result;
  const auto line_end = first_line_end(file, facts.bundle_path);
  for (std::span<const Found> rest = scan.found; !rest.empty();) {
    const Found& first = rest.front();
    const bool in_line = line_end && first.begin < *line_end && first.encoding == TextEncoding::k8Bit;
    const std::optional<std::uint64_t> text_end = in_line ? line_end : first.string_end;
    if (!text_end) {
      rest = rest.subspan(1);
      continue;
    }
    const auto shares_end = [&](const Found& other) {
      if (in_line) return other.begin < *line_end && other.encoding == first.encoding;
      return other.encoding == first.encoding && other.string_end == first.string_end;
    };
    std::size_t count = 1;
    while (count < rest.size() && shares_end(rest[count])) ++count;
    const auto string = rest.first(count);
    rest = rest.subspan(count);

    const std::size_t unit = unit_size(first.encoding);
    const auto is_blotted = [&](const Found& found) { return !in_line && prefixes_[found.prefix].self_locating; };
    std::size_t padding = 0;
    for (const Found& found : string) {
      const std::size_t units = found.size / unit;
      if (!in_line && !is_blotted(found) && facts.placeholder_length > units)
        padding += (facts.placeholder_length - units) * unit;
    }
    const bool known = padding > 0 && is_padded(file, *text_end, padding);
    const std::uint64_t end = *text_end + (known ? padding : 0);
    // Bytes that hold a path in another encoding, too, are no C string.
    if (!rest.empty() && rest.front().begin < end) continue;
    const std::string bytes = read_range(file, first.begin, *text_end);

    // The string from its first prefix on, as it will stand in the archive: of the same size, padding included.
    std::string text;
    std::vector<Relocation> records;
    std::uint64_t done = first.begin;
    bool fits = true;
    for (const Found& found : string) {
      const bool blotted = is_blotted(found);
      const std::string tail = blotted ? "" : tail_of(prefixes_[found.prefix], found.encoding);
      const std::size_t room = known && !blotted ? std::max(found.size, facts.placeholder_length * unit) : found.size;
      fits = fits && room >= tail.size() + kShortestPlaceholder * unit;
      if (!fits) break;
      text.append(bytes, static_cast<std::size_t>(done - first.begin), static_cast<std::size_t>(found.begin - done));
      const std::uint64_t offset = first.begin + text.size();
      if (!blotted) {
        records.push_back({.kind = in_line ? RelocationKind::kShebang : RelocationKind::kBinary,
                           .offset = offset,
                           .length = static_cast<std::uint32_t>(room - tail.size()),
                           .capacity = static_cast<std::uint32_t>(end - offset),
                           .encoding = found.encoding});
      }
      text += bundle::placeholder(room - tail.size(), found.encoding) + tail;
      done = found.begin + found.size;
    }
    if (!fits) continue;
    text.append(bytes, static_cast<std::size_t>(done - first.begin), bytes.npos);
    result.splices.push_back({first.begin, end - first.begin, std::move(text)});
    result.relocations.insert(result.relocations.end(), records.begin(), records.end());
  }
  return result;
}

PrefixRewrite settled(PrefixRewrite rewrite, const std::string& destination) {
  if (!rewrite.relocations.empty() && changes_length(rewrite.relocations.front())) {
    // A record is the start of what its splice inserts; a script's first line may be a splice without one.
    const std::size_t first = rewrite.splices.size() - rewrite.relocations.size();
    for (std::size_t i = 0; i < rewrite.relocations.size(); ++i) {
      const Relocation& record = rewrite.relocations[i];
      rewrite.splices[first + i].inserted.replace(0, record.length, bundle::encode(destination, record.encoding));
    }
  } else {
    // A string has one splice for all its records, and its place and size are as in the file.
    auto splice = rewrite.splices.begin();
    for (const bundle::Field& field :
         bundle::fields_of(rewrite.relocations, std::numeric_limits<std::int64_t>::max())) {
      while (splice->offset + splice->removed <= field.offset) ++splice;
      const auto at = static_cast<std::size_t>(field.offset - splice->offset);
      const std::string packed = splice->inserted.substr(at, field.size);
      splice->inserted.replace(at, field.size, bundle::relocate(packed, field, destination));
    }
  }
  rewrite.relocations.clear();
  return rewrite;
}

}  // namespace holdall::packer
