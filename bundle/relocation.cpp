#include "bundle/relocation.h"

#include <algorithm>
#include <span>

#include "bundle/error.h"

namespace holdall::bundle {
namespace {

[[noreturn]] void bad_record(const Relocation& record, const std::string& what) {
  throw Error(ErrorKind::kBadBundle, "relocation at offset " + std::to_string(record.offset) + ": " + what);
}

void require_prefix(std::string_view prefix) {
  const bool absolute = !prefix.empty() && prefix.front() == '/' && (prefix.size() == 1 || prefix.back() != '/');
  if (!absolute || prefix.find('\0') != std::string_view::npos) {
    throw Error(ErrorKind::kUsage,
                "prefix '" + std::string(prefix) + "' is not an absolute path without a trailing slash");
  }
}

// Records are untrusted: inside `size` bytes of the packed file, ascending, apart, and of one kind.
void check_records(const std::vector<Relocation>& records, std::uint64_t size) {
  std::uint64_t free_from = 0;
  for (const Relocation& record : records) {
    if (record.kind != records.front().kind) bad_record(record, "text and binary records in one file");
    if (record.length == 0) bad_record(record, "empty placeholder");
    if (record.offset < free_from) bad_record(record, "overlaps the record before it");
    const std::uint64_t extent = record.kind == RelocationKind::kBinary ? record.capacity : record.length;
    if (extent < record.length) bad_record(record, "capacity is smaller than the placeholder");
    if (record.offset > size || extent > size - record.offset) bad_record(record, "lies outside the file");
    free_from = record.offset + record.length;
  }
}

// The records of one C string: those that share its end. They are neighbours, because records ascend.
std::span<const Relocation> take_string(std::span<const Relocation>& rest) {
  const std::uint64_t end = rest.front().offset + rest.front().capacity;
  std::size_t count = 1;
  while (count < rest.size() && rest[count].offset < end) {
    if (rest[count].offset + rest[count].capacity != end) bad_record(rest[count], "ends elsewhere than its string");
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
    const std::string held = placeholder(record.length);
    const std::string_view old_text = job.installing ? std::string_view(held) : job.prefix;
    const std::string_view new_text = job.installing ? job.prefix : std::string_view(held);
    const std::size_t at = static_cast<std::size_t>(static_cast<std::int64_t>(record.offset - job.base) + moved);
    if (at < done || at > job.from.size() || job.from.substr(at, old_text.size()) != old_text) {
      bad_record(record, job.installing ? "no placeholder there" : "the prefix is not there");
    }
    result.append(job.from, done, at - done).append(new_text);
    done = at + old_text.size();
    if (!job.installing) moved += static_cast<std::int64_t>(job.prefix.size()) - record.length;
  }
  return result.append(job.from, done, std::string_view::npos);
}

// What stands in [offset, offset + capacity) is a string and its NUL padding; only the string is substituted.
std::string substitute_in_place(std::string_view file, std::span<const Relocation> rest, std::string_view prefix,
                                bool installing) {
  std::string result(file);
  while (!rest.empty()) {
    const auto records = take_string(rest);
    const Relocation& first = records.front();
    const std::string_view field = file.substr(first.offset, first.capacity);
    const std::string_view text = field.substr(0, std::min(field.find('\0'), field.size()));
    if (field.find_first_not_of('\0', text.size()) != std::string_view::npos) {
      bad_record(first, "its string ends before the capacity does");
    }
    const std::string changed = substitute({text, first.offset, prefix, installing}, records);
    if (changed.size() > first.capacity) {
      const std::size_t others = changed.size() - records.size() * prefix.size();
      throw Error(
          ErrorKind::kStorage,
          "prefix '" + std::string(prefix) + "' is too long for the string at offset " + std::to_string(first.offset) +
              ": " + std::to_string(prefix.size()) + " bytes, at most " +
              std::to_string((first.capacity - std::min<std::size_t>(others, first.capacity)) / records.size()) +
              " fit: install under a shorter path");
    }
    const auto at = result.begin() + static_cast<std::ptrdiff_t>(first.offset);
    std::fill(std::copy(changed.begin(), changed.end(), at), at + first.capacity, '\0');
  }
  return result;
}

std::string apply(std::string_view file, const std::vector<Relocation>& records, std::string_view prefix,
                  bool installing) {
  require_prefix(prefix);
  if (records.empty()) return std::string(file);
  if (records.front().kind == RelocationKind::kBinary) {
    check_records(records, file.size());
    return substitute_in_place(file, records, prefix, installing);
  }
  std::uint64_t packed_size = file.size();
  if (!installing) {  // what relocate() added has to go before offsets can be compared with the size
    for (const Relocation& record : records) packed_size += record.length;
    const std::uint64_t added = records.size() * prefix.size();
    if (added > packed_size) bad_record(records.front(), "the prefix is not there");
    packed_size -= added;
  }
  check_records(records, packed_size);
  return substitute({file, 0, prefix, installing}, records);
}

}  // namespace

std::string placeholder(std::size_t length) {
  std::string text(kPlaceholder.substr(0, length));
  return text.append(length - text.size(), '_');
}

std::string relocate(std::string_view packed, const std::vector<Relocation>& records, std::string_view prefix) {
  return apply(packed, records, prefix, true);
}

std::string unrelocate(std::string_view installed, const std::vector<Relocation>& records, std::string_view prefix) {
  return apply(installed, records, prefix, false);
}

}  // namespace holdall::bundle
