// Relocation records: where a packed file holds the placeholder, and how to put the install prefix there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdall::bundle {

// Stands for the build prefix in every packed text file. It looks like no real path and cannot occur by chance.
inline constexpr std::string_view kPlaceholder = "/holdall-prefix-3b1f9c52";

enum class RelocationKind {
  kText,    // the placeholder at `offset` is replaced; the file's length changes
  kBinary,  // a NUL-terminated string at `offset`: replaced inside `capacity` bytes, padded with NUL; length constant
};

// One occurrence of the placeholder. Those of one C string are records of their own that share their end, so that
// every relocation can be undone exactly. All records of a file are of one kind.
struct Relocation {
  RelocationKind kind = RelocationKind::kText;
  std::uint64_t offset = 0;    // in the packed file, bytes; ascending within an entry
  std::uint32_t length = 0;    // of the placeholder at `offset`, bytes
  std::uint32_t capacity = 0;  // kBinary: bytes from `offset` to the string's end, its NUL not counted
};

// The placeholder in `length` bytes: cut, or lengthened by '_', so that it fits where a build prefix stood.
std::string placeholder(std::size_t length);

// The contents of a file with every record applied for `prefix` (absolute, no trailing slash).
// Throws Error{kBadBundle} if a record does not hold a placeholder or lies outside `packed`, Error{kUsage} for another
// kind of `prefix`, Error{kStorage} if `prefix` is too long for a kBinary record, naming the longest that fits.
std::string relocate(std::string_view packed, const std::vector<Relocation>& records, std::string_view prefix);

// The inverse: what `relocate` got, from what it returned. Throws Error{kBadBundle} if `installed` differs from what
// `relocate` would have produced at the records.
std::string unrelocate(std::string_view installed, const std::vector<Relocation>& records, std::string_view prefix);

}  // namespace holdall::bundle
