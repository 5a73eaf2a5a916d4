#include "launcher/foreign/conda_unpack.h"

#include <charconv>
#include <cstdint>

#include "bundle/error.h"

namespace holdall::launcher {
namespace {

constexpr std::string_view kList = "\n_prefix_records = [";

// Literals as Python's repr() writes them: strings in either quotes, tuples.
class Literals {
 public:
  explicit Literals(std::string_view text) : rest_(text) {}

  bool take(char wanted) {
    skip_blanks();
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void require(char wanted) {
    if (!take(wanted)) fail(std::string("has no '") + wanted + "'");
  }

  std::string string() {
    skip_blanks();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) fail("has something else than strings");
    const char quote = next();
    std::string value;
    for (char c = next(); c != quote; c = next()) {
      if (c == '\n') fail("has a string that does not end");
      if (c == '\\')
        escape(value);
      else
        value += c;
    }
    return value;
  }

  [[noreturn]] static void fail(const std::string& why) {
    throw bundle::Error(bundle::ErrorKind::kBadBundle, "bad bin/conda-unpack: its list of prefixes " + why);
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
  }

  char next() {
    if (rest_.empty()) fail("does not end");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  // Python's reference, "Escape sequences": those that repr() writes.
  void escape(std::string& value) {
    const char c = next();
    if (c == '\\' || c == '\'' || c == '"')
      value += c;
    else if (c == 'n')
      value += '\n';
    else if (c == 'r')
      value += '\r';
    else if (c == 't')
      value += '\t';
    else if (c == 'x')
      append_utf8(value, number(2));
    else if (c == 'u')
      append_utf8(value, number(4));
    else if (c == 'U')
      append_utf8(value, number(8));
    else
      fail("has an escape that is not known");
  }

  std::uint32_t number(std::size_t digits) {
    std::uint32_t value = 0;
    const std::string_view text = rest_.substr(0, digits);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || text.size() != digits || end != text.data() + digits) fail("has a broken escape");
    rest_.remove_prefix(digits);
    return value;
  }

  // RFC 3629. A surrogate stands for a byte of a name that is no UTF-8: no member of ours.
  static void append_utf8(std::string& value, std::uint32_t point) {
    if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) fail("has a name that is not UTF-8");
    if (point < 0x80) {
      value += static_cast<char>(point);
      return;
    }
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    constexpr unsigned kLead[] = {0, 0xC0, 0xE0, 0xF0};
    value += static_cast<char>(kLead[more] | (point >> (6 * more)));
    for (int i = more - 1; i >= 0; --i) value += static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3F));
  }

  std::string_view rest_;
};

}  // namespace

std::vector<PrefixRecord> parse_conda_unpack(std::string_view script) {
  const std::size_t list = script.find(kList);
  if (list == std::string_view::npos) return {};
  Literals literals(script.substr(list + kList.size()));
  std::vector<PrefixRecord> records;
  while (!literals.take(']')) {
    if (!records.empty()) literals.require(',');
    if (literals.take(']')) break;
    literals.require('(');
    PrefixRecord record;
    record.path = literals.string();
    literals.require(',');
    record.placeholder = literals.string();
    literals.require(',');
    const std::string mode = literals.string();
    literals.require(')');
    if (mode != "text" && mode != "binary") Literals::fail("has the mode '" + mode.substr(0, 20) + "'");
    if (record.placeholder.empty()) Literals::fail("has an empty prefix");
    record.binary = mode == "binary";
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace holdall::launcher
