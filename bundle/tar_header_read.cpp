#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

#include "bundle/error.h"
#include "bundle/limits.h"
#include "bundle/tar_header.h"

namespace holdall::bundle {

namespace {

[[noreturn]] void bad(const std::string& reason) {
  throw Error(ErrorKind::kBadBundle, "bad tar header: " + reason);
}

// POSIX.1-1988 ustar, offsets in bytes.
class Block {
 public:
  explicit Block(const std::function<void(std::span<std::byte>)>& next) {
    next(std::as_writable_bytes(std::span(bytes_)));
  }

  bool is_zero() const {
    for (const char c : bytes_) {
      if (c != 0) return false;
    }
    return true;
  }

  // Checks what all headers of the profile share.
  void check() const {
    if (std::memcmp(bytes_.data() + 257,
                    "ustar\0"
                    "00",
                    8) != 0)
      bad("not ustar");
    unsigned sum = 0;
    for (std::size_t i = 0; i < kTarBlock; ++i) {
      sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(bytes_[i]);
    }
    if (number(148, 8) != sum) bad("checksum differs");
    if (number(108, 8) != 0 || number(116, 8) != 0) bad("owner is not 0");
    if (!text(265, 32).empty() || !text(297, 32).empty()) bad("it names an owner");
    if (number(329, 8) != 0 || number(337, 8) != 0) bad("device numbers");
  }

  char type() const { return bytes_[156]; }
  std::uint64_t mode() const { return number(100, 8); }
  std::uint64_t size() const { return number(124, 12); }
  std::int64_t mtime() const { return static_cast<std::int64_t>(number(136, 12)); }
  std::string link() const { return text(157, 100); }
  std::string path() const {
    const std::string prefix = text(345, 155);
    return prefix.empty() ? text(0, 100) : prefix + '/' + text(0, 100);
  }

 private:
  // Up to its first NUL, behind which there are only NULs: no second text for another reader.
  std::string text(std::size_t at, std::size_t size) const {
    const std::string_view field(bytes_.data() + at, size);
    const std::size_t end = std::min(field.find('\0'), size);
    if (field.find_first_not_of('\0', end) != std::string_view::npos) bad("bytes behind a name's end");
    return std::string(field.substr(0, end));
  }

  // Octal digits, then spaces or NULs; or base 256 (GNU), which libarchive uses for sizes of 8 GiB and more.
  std::uint64_t number(std::size_t at, std::size_t size) const {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes_[at + i]); };
    std::uint64_t value = 0;
    if (byte(0) == 0x80) {
      for (std::size_t i = 1; i < size; ++i) {
        if (value >> 55 != 0) bad("a number is too large");
        value = value << 8 | byte(i);
      }
      return value;
    }
    std::size_t i = 0;
    for (; i < size && byte(i) >= '0' && byte(i) <= '7'; ++i) value = value << 3 | (byte(i) - '0');
    if (i == 0 && byte(0) != 0) bad("not a number");
    for (; i < size; ++i) {
      if (byte(i) != ' ' && byte(i) != 0) bad("not a number");
    }
    return value;
  }

  std::array<char, kTarBlock> bytes_{};
};

using PaxRecords = std::map<std::string, std::string>;

// "<length> <key>=<value>\n", length counting itself; only the keys of the profile, each once.
PaxRecords read_pax(std::string_view rest) {
  PaxRecords records;
  while (!rest.empty()) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + std::min<std::size_t>(rest.size(), 8), length);
    const std::size_t digits = static_cast<std::size_t>(end - rest.data());
    if (error != std::errc() || rest[0] == '0' || length > rest.size() || length < digits + 4 || rest[digits] != ' ' ||
        rest[length - 1] != '\n') {
      bad("a PAX record is malformed");
    }
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) bad("a PAX record is malformed");
    const std::string key(record.substr(0, equals));
    if (key != "path" && key != "linkpath" && key != "size") bad("unknown PAX key '" + key.substr(0, 40) + "'");
    const std::string_view value = record.substr(equals + 1);
    if (value.empty() || value.find('\0') != std::string_view::npos) bad("PAX " + key + " is empty or has a NUL");
    if (!records.emplace(key, value).second) bad("PAX " + key + " is given twice");
    rest.remove_prefix(length);
  }
  return records;
}

}  // namespace

std::optional<TarHeader> read_tar_header(const std::function<void(std::span<std::byte>)>& next) {
  constexpr std::uint64_t kMaxPaxBytes = 16 * 1024;  // two paths of PATH_MAX and a size
  Block block(next);
  if (block.is_zero()) return std::nullopt;
  block.check();
  PaxRecords pax;
  if (block.type() == 'x') {
    const std::uint64_t size = block.size();
    if (size == 0 || size > kMaxPaxBytes) bad("a PAX header of " + std::to_string(size) + " bytes");
    std::string data(static_cast<std::size_t>(size) + tar_padding(size), '\0');
    for (std::size_t at = 0; at < data.size(); at += kTarBlock) {
      next(std::as_writable_bytes(std::span(data)).subspan(at, kTarBlock));
    }
    if (data.find_first_not_of('\0', static_cast<std::size_t>(size)) != std::string::npos)
      bad("PAX padding is not zero");
    data.resize(static_cast<std::size_t>(size));
    pax = read_pax(data);
    block = Block(next);
    block.check();
  }
  const auto find = [&](const char* key) { return pax.find(key); };

  TarHeader header;
  header.path = find("path") != pax.end() ? find("path")->second : block.path();
  header.link_target = find("linkpath") != pax.end() ? find("linkpath")->second : block.link();
  header.size = block.size();
  header.mtime = block.mtime();
  if (const auto size = find("size"); size != pax.end() && size->second != std::to_string(header.size)) {
    bad("PAX and ustar give different sizes");
  }
  switch (block.type()) {
    case '0':
      header.type = EntryType::kRegular;
      break;
    case '2':
      header.type = EntryType::kSymlink;
      break;
    case '5':
      header.type = EntryType::kDirectory;
      break;
    default:
      bad("members of type " + std::to_string(static_cast<unsigned char>(block.type())) + " are not allowed");
  }
  const std::uint64_t mode = block.mode();
  if (mode != 0755 && mode != 0644) bad("mode is neither 0755 nor 0644");
  header.executable = mode == 0755;
  if (header.type != EntryType::kRegular && header.size != 0) bad("a member without contents has a size");
  if (header.type != EntryType::kSymlink && !header.link_target.empty()) bad("a link target without a link");
  if (header.type == EntryType::kDirectory && header.path.ends_with('/')) header.path.pop_back();
  return header;
}

std::string tar_header_fault(const TarHeader& header, const Entry& entry) {
  if (header.path != entry.path) return "the tar stream has '" + header.path.substr(0, 200) + "' in its place";
  if (header.type != entry.type) return "type differs in the tar stream";
  if (entry.type == EntryType::kRegular && header.size != entry.size) return "size differs in the tar stream";
  if (header.link_target != entry.link_target) return "link target differs in the tar stream";
  if (header.executable != (entry.type != EntryType::kRegular || entry.executable))
    return "mode differs in the tar stream";
  return {};
}

}  // namespace holdall::bundle
