#include "packer/relocation/pyc.h"

#include <array>
#include <cstring>

#include "bundle/byte_order.h"

namespace holdall::packer {
namespace {

// The header (PEP 552): magic, flags, then time and size of the source, or its hash.
constexpr std::size_t kHeader = 16;
constexpr std::uint32_t kByHash = 1;

// How a code object is laid out; the magic numbers stand in CPython's importlib (_bootstrap_external.py,
// pycore_magic_number.h). Counts of the fields before and after the code, in the order of marshal.c.
struct CodeLayout {
  unsigned first_magic = 0;  // and up to the next layout's
  int numbers = 0;           // 32-bit: argument counts, stack size, flags
  int objects_before = 0;    // code, consts, names and variables, before co_filename
  int objects_between = 0;   // name (and qualname), before the first line's number
  int objects_after = 0;     // line table (and exception table)
};
constexpr std::array<CodeLayout, 4> kLayouts{CodeLayout{3360, 5, 6, 1, 1},   // 3.6, 3.7
                                             CodeLayout{3400, 6, 6, 1, 1},   // 3.8: posonlyargcount
                                             CodeLayout{3450, 5, 5, 2, 2},   // 3.11: localsplus, no nlocals
                                             CodeLayout{3650, 0, 0, 0, 0}};  // beyond 3.14: not known yet

struct Unreadable {};  // ends the reading of a broken file; never leaves this file

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  return bundle::load_le<std::uint32_t>(bundle::as_byte_span(bytes), at);
}

class MarshalCopy {
 public:
  MarshalCopy(std::string_view bytes, const CodeLayout& layout, const std::vector<PrefixSpelling>& prefixes)
      : bytes_(bytes), layout_(layout), prefixes_(prefixes) {}

  std::string run() {
    object(Use::kOther);
    if (at_ != bytes_.size()) throw Unreadable{};
    return std::move(out_);
  }

 private:
  enum class Use { kOther, kFilename };
  static constexpr int kMaxDepth = 2000;  // marshal.c's own limit
  static constexpr unsigned char kReference = 0x80;

  std::string_view take(std::size_t count) {
    if (count > bytes_.size() - at_) throw Unreadable{};
    const std::string_view part = bytes_.substr(at_, count);
    at_ += count;
    return part;
  }
  void copy(std::size_t count) { out_ += take(count); }

  std::uint32_t number() { return number_at(take(4), 0); }
  void put(std::uint32_t value) {
    for (int i = 0; i < 4; ++i) out_ += static_cast<char>(value >> (8 * i) & 0xff);
  }
  std::uint32_t copied_number() {
    const std::uint32_t value = number();
    put(value);
    return value;
  }

  // The path relative to the bundle; what is no path of the prefix stays.
  std::string relative(std::string_view path) const {
    for (const PrefixSpelling& prefix : prefixes_) {
      if (!path.starts_with(prefix.text) || path.size() <= prefix.text.size() || path[prefix.text.size()] != '/')
        continue;
      return (prefix.to.empty() ? "" : prefix.to + "/") + std::string(path.substr(prefix.text.size() + 1));
    }
    return std::string(path);
  }

  void text(Use use, bool is_short) {
    const std::size_t size = is_short ? static_cast<unsigned char>(take(1)[0]) : number();
    const std::string_view given = take(size);
    const std::string result = use == Use::kFilename ? relative(given) : std::string(given);
    if (is_short && result.size() > 0xff) throw Unreadable{};
    is_short ? out_.push_back(static_cast<char>(result.size())) : put(static_cast<std::uint32_t>(result.size()));
    out_ += result;
  }

  void objects(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) object(Use::kOther);
  }

  void code() {
    for (int i = 0; i < layout_.numbers; ++i) copied_number();
    objects(static_cast<std::uint64_t>(layout_.objects_before));
    object(Use::kFilename);
    objects(static_cast<std::uint64_t>(layout_.objects_between));
    copied_number();
    objects(static_cast<std::uint64_t>(layout_.objects_after));
  }

  void object(Use use) {
    if (++depth_ > kMaxDepth) throw Unreadable{};
    const auto tag = static_cast<unsigned char>(take(1)[0]);
    out_ += static_cast<char>(tag);
    switch (tag & ~kReference) {
      case '0':
      case 'N':
      case 'F':
      case 'T':
      case 'S':
      case '.':
        break;
      case 'i':
      case 'r':
        copied_number();
        break;
      case 'I':
      case 'g':
        copy(8);
        break;
      case 'y':
        copy(16);
        break;
      case 'l': {  // digits of 15 bits; negative: the number's sign
        const auto count = static_cast<std::int32_t>(copied_number());
        copy(std::size_t{2} * static_cast<std::size_t>(count < 0 ? -static_cast<std::int64_t>(count) : count));
        break;
      }
      case 's':
        copy(copied_number());
        break;
      case 'u':
      case 't':
      case 'a':
      case 'A':
        text(use, false);
        break;
      case 'z':
      case 'Z':
        text(use, true);
        break;
      case ')':
        objects(static_cast<unsigned char>((out_ += take(1)).back()));
        break;
      case '(':
      case '[':
      case '<':
      case '>':
        objects(copied_number());
        break;
      case '{':
        while (at_ < bytes_.size() && (static_cast<unsigned char>(bytes_[at_]) & ~kReference) != '0') objects(2);
        objects(1);
        break;
      case ':':  // a slice, since 3.14
        objects(3);
        break;
      case 'c':
        code();
        break;
      default:
        throw Unreadable{};
    }
    --depth_;
  }

  const std::string_view bytes_;
  const CodeLayout& layout_;
  const std::vector<PrefixSpelling>& prefixes_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::string out_;
};

struct Header {
  const CodeLayout& layout;
  std::size_t size = kHeader;
  bool by_time = false;  // then its last eight bytes are the source's time and size
};

std::optional<Header> header_of(std::string_view pyc) {
  if (pyc.size() < kHeader || pyc[2] != '\r' || pyc[3] != '\n') return std::nullopt;
  const unsigned magic = number_at(pyc, 0) & 0xffff;
  for (std::size_t i = 0; i + 1 < kLayouts.size(); ++i) {
    if (magic < kLayouts[i].first_magic || magic >= kLayouts[i + 1].first_magic) continue;
    if (magic < 3390) return Header{kLayouts[i], kHeader - 4, true};  // 3.6 has no flags
    return Header{kLayouts[i], kHeader, (number_at(pyc, 4) & kByHash) == 0};
  }
  return std::nullopt;
}

}  // namespace

std::optional<PycSource> source_in_header(std::string_view pyc) {
  const auto header = header_of(pyc);
  if (!header || !header->by_time) return std::nullopt;
  return PycSource{.mtime = number_at(pyc, header->size - 8), .size = number_at(pyc, header->size - 4)};
}

std::optional<std::string> relocatable_pyc(std::string_view pyc, const PycRules& rules) {
  const auto header = header_of(pyc);
  if (!header) return std::nullopt;
  std::string result(pyc.substr(0, header->size));
  if (header->by_time) {
    const auto time = static_cast<std::uint32_t>(rules.mtime);  // of 64 bits, Python keeps the lower half
    for (std::size_t i = 0; i < 4; ++i) result[header->size - 8 + i] = static_cast<char>(time >> (8 * i) & 0xff);
  }
  try {
    return result + MarshalCopy(pyc.substr(header->size), header->layout, rules.prefixes).run();
  } catch (const Unreadable&) {
    return std::nullopt;
  }
}

}  // namespace holdall::packer
