#include "bundle/relocation.h"

#include <algorithm>

#include "bundle/error.h"

namespace holdall::bundle {
namespace {

[[noreturn]] void bad_record(const Relocation& record, const std::string& what) {
  throw Error(ErrorKind::kBadBundle, "relocation at offset " + std::to_string(record.offset) + ": " + what);
}

void require_prefix(std::string_view prefix) {
  const bool absolute = !prefix.empty() && prefix.front() == '/' && (prefix.size() == 1 || prefix.back() != '/');
  if (!absolute || prefix.find_first_of(std::string_view("\0\n", 2)) != std::string_view::npos) {
    throw Error(ErrorKind::kUsage, "prefix '" + std::string(prefix) +
                                       "' is not an absolute path without a trailing slash or a line break");
  }
}

void check_each(const std::vector<Relocation>& records, std::uint64_t size) {
  std::uint64_t free_from = 0;
  for (const Relocation& record : records) {
    const std::size_t unit = unit_size(record.encoding);
    const std::uint64_t extent = changes_length(record) ? record.length : record.capacity;
    if (changes_length(record) != changes_length(records.front()))
      bad_record(record, "records that change the file's length beside others that do not");
    if (record.length == 0 || record.length % unit != 0) bad_record(record, "bad length of the placeholder");
    if (record.offset < free_from) bad_record(record, "overlaps the record before it");
    if (extent < record.length || extent % unit != 0) bad_record(record, "bad capacity");
    if (record.offset > size || extent > size - record.offset) bad_record(record, "lies outside the file");
    free_from = record.offset + record.length;
  }
}

// The records of one string: those that share its end. They are neighbours, because records ascend.
std::span<const Relocation> take_string(std::span<const Relocation>& rest) {
  const Relocation& first = rest.front();
  const std::uint64_t end = first.offset + first.capacity;
  std::size_t count = 1;
  while (count < rest.size() && rest[count].offset < end) {
    const Relocation& next = rest[count];
    if (next.offset + next.capacity != end) bad_record(next, "ends elsewhere than its string");
    if (next.kind != first.kind || next.encoding != first.encoding)
      bad_record(next, "differs from its string's others");
    ++count;
  }
  const auto string = rest.first(count);
  rest = rest.subspan(count);
  return string;
}

// Copies `from`, where each record's old text stands at its offset plus what earlier records moved it by, into a string
// that has the new text there. `base` is the offset of from[0] in the packed file.
struct Substitution {
  std::string_view from;
  std::uint64_t base = 0;
  std::string_view prefix;
  bool installing = true;  // placeholder → prefix; else the inverse
};

std::string substitute(const Substitution& job, std::span<const Relocation> records) {
  std::string result;
  std::size_t done = 0;
  std::int64_t moved = 0;  // how much further an old text stands in `from` than in the packed file
  for (const Relocation& record : records) {
    const std::string held = placeholder(record.length, record.encoding);
    const std::string wanted = encode(job.prefix, record.encoding);
    const std::string& old_text = job.installing ? held : wanted;
    const std::string& new_text = job.installing ? wanted : held;
    const std::size_t at = static_cast<std::size_t>(static_cast<std::int64_t>(record.offset - job.base) + moved);
    if (at < done || at > job.from.size() || job.from.substr(at, old_text.size()) != old_text) {
      bad_record(record, job.installing ? "no placeholder there" : "the prefix is not there");
    }
    result.append(job.from, done, at - done).append(new_text);
    done = at + old_text.size();
    if (!job.installing) moved += static_cast<std::int64_t>(wanted.size()) - record.length;
  }
  return result.append(job.from, done, std::string_view::npos);
}

enum class Direction { kInstall, kInstallOwnLibc, kUndo };

Direction direction_to(LibcChoice libc) {
  return libc == LibcChoice::kBundled ? Direction::kInstallOwnLibc : Direction::kInstall;
}

// How much of a field is text; the rest is what fills it.
std::size_t text_size(std::string_view field, const Relocation& record) {
  if (record.kind == RelocationKind::kShebang) return field.find_last_not_of(' ') + 1;
  return std::min(find_nul(field, record.encoding), field.size());
}

// What a program's kInterpreter field begins with once it asks for the bundle's own loader.
std::string own_loader(std::string_view prefix) {
  return std::string(prefix).append(prefix == "/" ? "" : "/").append(kOwnLoader).append(1, '\0');
}

std::size_t longest_prefix(std::span<const Relocation> string) {
  if (string.front().kind == RelocationKind::kInterpreter) {
    const std::size_t rest = own_loader("").size();
    return string.front().length > rest ? string.front().length - rest : 0;
  }
  std::size_t units = 0;
  for (const Relocation& record : string) units += record.length / unit_size(record.encoding);
  return units / string.size();
}

[[noreturn]] void too_long(std::string_view prefix, const Field& field) {
  throw Error(ErrorKind::kStorage, "prefix '" + std::string(prefix) + "' is too long for the string at offset " +
                                       std::to_string(field.offset) + ": " + std::to_string(prefix.size()) +
                                       " bytes, at most " + std::to_string(longest_prefix(field.records)) +
                                       " fit: install under a shorter path");
}

std::string apply_interpreter(std::string_view bytes, const Field& field, std::string_view prefix,
                              Direction direction) {
  const Relocation& record = field.records.front();
  const bool as_packed = bytes.find_first_not_of('/') == bytes.npos;
  const std::string loader = own_loader(prefix);
  if (direction == Direction::kUndo) {
    const bool installed = bytes.starts_with(loader) && bytes.find_first_not_of('/', loader.size()) == bytes.npos;
    if (!as_packed && !installed) bad_record(record, "the prefix is not there");
    return std::string(bytes.size(), '/');
  }
  if (!as_packed) bad_record(record, "no room for a loader's path there");
  if (direction == Direction::kInstall) return std::string(bytes);
  if (loader.size() > bytes.size()) too_long(prefix, field);
  return loader + std::string(bytes.substr(loader.size()));
}

std::string apply(std::string_view bytes, const Field& field, std::string_view prefix, Direction direction) {
  const Relocation& first = field.records.front();
  const bool installing = direction != Direction::kUndo;
  if (first.kind == RelocationKind::kInterpreter && bytes.size() == field.size)
    return apply_interpreter(bytes, field, prefix, direction);
  const std::size_t size = text_size(bytes, first);
  if (bytes.size() != field.size) bad_record(first, "lies outside the file");
  if (installing && size != field.size) bad_record(first, "its string ends before the capacity does");
  if (first.kind != RelocationKind::kShebang && bytes.find_first_not_of('\0', size) != bytes.npos)
    bad_record(first, "something stands behind its string");
  std::string result = substitute({bytes.substr(0, size), first.offset, prefix, installing}, field.records);
  if (result.size() > field.size) {
    if (!installing) bad_record(first, "the prefix is not there");
    too_long(prefix, field);
  }
  if (!installing && result.size() != field.size) bad_record(first, "the prefix is not there");
  result.resize(field.size, first.kind == RelocationKind::kShebang ? ' ' : '\0');
  return result;
}

std::string apply(std::string_view file, const std::vector<Relocation>& records, std::string_view prefix,
                  Direction direction) {
  const bool installing = direction != Direction::kUndo;
  require_prefix(prefix);
  if (records.empty()) return std::string(file);
  if (!changes_length(records.front())) {
    std::string result(file);
    for (const Field& field : fields_of(records, file.size())) {
      const auto at = static_cast<std::size_t>(field.offset);
      result.replace(at, field.size, apply(file.substr(at, field.size), field, prefix, direction));
    }
    return result;
  }
  std::uint64_t packed_size = file.size();
  if (!installing) {  // what relocate() added has to go before offsets can be compared with the size
    std::uint64_t added = 0;
    for (const Relocation& record : records) {
      packed_size += record.length;
      added += encode(prefix, record.encoding).size();
    }
    if (added > packed_size) bad_record(records.front(), "the prefix is not there");
    packed_size -= added;
  }
  check_each(records, packed_size);
  return substitute({file, 0, prefix, installing}, records);
}

}  // namespace

std::string placeholder(std::size_t length, TextEncoding encoding) {
  const std::size_t units = length / unit_size(encoding);
  std::string text(kPlaceholder.substr(0, units));
  text.append(units - text.size(), '_');
  return encode(text, encoding);
}

void check_relocations(const std::vector<Relocation>& records, std::uint64_t size) {
  if (!records.empty() && changes_length(records.front()))
    check_each(records, size);
  else
    fields_of(records, size);
}

std::string relocate(std::string_view packed, const std::vector<Relocation>& records, std::string_view prefix,
                     LibcChoice libc) {
  return apply(packed, records, prefix, direction_to(libc));
}

std::string unrelocate(std::string_view installed, const std::vector<Relocation>& records, std::string_view prefix) {
  return apply(installed, records, prefix, Direction::kUndo);
}

std::vector<Field> fields_of(const std::vector<Relocation>& records, std::uint64_t size) {
  check_each(records, size);
  std::vector<Field> fields;
  for (std::span<const Relocation> rest = records; !rest.empty();) {
    const auto string = take_string(rest);
    fields.push_back({string.front().offset, string.front().capacity, string});
  }
  return fields;
}

std::string relocate(std::string_view packed, const Field& field, std::string_view prefix, LibcChoice libc) {
  require_prefix(prefix);
  return apply(packed, field, prefix, direction_to(libc));
}

std::string unrelocate(std::string_view installed, const Field& field, std::string_view prefix) {
  require_prefix(prefix);
  return apply(installed, field, prefix, Direction::kUndo);
}

LibcChoice libc_of(std::string_view installed, const Field& field) {
  const bool own = field.records.front().kind == RelocationKind::kInterpreter && !installed.empty() &&
                   installed.find('\0') != installed.npos;
  return own ? LibcChoice::kBundled : LibcChoice::kHost;
}

std::optional<std::size_t> longest_prefix(const std::vector<Relocation>& records, LibcChoice libc) {
  std::optional<std::size_t> longest;
  if (records.empty() || changes_length(records.front())) return longest;
  for (std::span<const Relocation> rest = records; !rest.empty();) {
    const auto string = take_string(rest);
    if (string.front().kind == RelocationKind::kInterpreter && libc == LibcChoice::kHost) continue;
    const std::size_t fits = longest_prefix(string);
    longest = std::min(longest.value_or(fits), fits);
  }
  return longest;
}

}  // namespace holdall::bundle
