// Relocation records: where a packed file holds the placeholder, and how to put the install prefix there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/text_encoding.h"

namespace holdall::bundle {

// Stands for the build prefix in every packed text file. It looks like no real path and cannot occur by chance.
inline constexpr std::string_view kPlaceholder = "/holdall-prefix-3b1f9c52";

// Where the loader of a bundle's own C library lies in its tree: a link to the loader itself.
inline constexpr std::string_view kOwnLoader = "libc/ld.so";

// Which C library the programs of an unpacked tree run on.
enum class LibcChoice { kHost, kBundled };
constexpr const char* libc_name(LibcChoice libc) {
  return libc == LibcChoice::kBundled ? "bundled" : "host";
}

enum class RelocationKind {
  kText,         // the placeholder at `offset` is replaced; the file's length changes
  kBinary,       // inside a C string, which keeps its place: what it loses is filled with NUL behind it
  kShebang,      // in the first line of a script that must keep its length: filled with spaces at the line's end
  kInterpreter,  // slashes before the path of the host's loader that a program names: no placeholder. Where the
                 // bundle's own libc is chosen, the path of its loader and a NUL take their place, as many as it needs
};

// One occurrence of the placeholder. Those of one string are records of their own that share its end, so that every
// relocation can be undone exactly. A file's records are all kText, or none is.
struct Relocation {
  RelocationKind kind = RelocationKind::kText;
  std::uint64_t offset = 0;    // in the packed file, bytes; ascending within an entry
  std::uint32_t length = 0;    // of the placeholder at `offset`, bytes
  std::uint32_t capacity = 0;  // not kText: bytes from `offset` to the string's end (its NUL or newline not counted);
                               // kInterpreter: as `length`, to the last slash that may go
  TextEncoding encoding = TextEncoding::k8Bit;  // of the whole string; offsets of one string differ by whole units
};

// The placeholder in `length` bytes of `encoding`: cut, or lengthened by '_', so that it fits where a build prefix
// stood.
std::string placeholder(std::size_t length, TextEncoding encoding = TextEncoding::k8Bit);

constexpr bool changes_length(const Relocation& record) {
  return record.kind == RelocationKind::kText;
}

// Records are untrusted. Throws Error{kBadBundle} unless they are ascending, apart, inside a packed file of `size`
// bytes, of whole units, all kText or none, and those of one string agree.
void check_relocations(const std::vector<Relocation>& records, std::uint64_t size);

// The contents of a file with every record applied for `prefix` (absolute, no trailing slash).
// Throws Error{kBadBundle} if a record does not hold a placeholder or lies outside `packed`, Error{kUsage} for another
// kind of `prefix`, Error{kStorage} if `prefix` is too long for a record, naming the longest that fits.
std::string relocate(std::string_view packed, const std::vector<Relocation>& records, std::string_view prefix,
                     LibcChoice libc = LibcChoice::kHost);

// The inverse: what `relocate` got, from what it returned. Throws Error{kBadBundle} if `installed` differs from what
// `relocate` would have produced at the records, for either libc.
std::string unrelocate(std::string_view installed, const std::vector<Relocation>& records, std::string_view prefix);

// A string of a file that keeps its length, with its records: the bytes that they share. So a large file is relocated
// without being read whole.
struct Field {
  std::uint64_t offset = 0;
  std::size_t size = 0;
  std::span<const Relocation> records;
};

// The fields of `records` (none kText) in a file of `size` bytes, ascending. Throws Error{kBadBundle}.
std::vector<Field> fields_of(const std::vector<Relocation>& records, std::uint64_t size);

// As above, for the bytes of one field.
std::string relocate(std::string_view packed, const Field& field, std::string_view prefix,
                     LibcChoice libc = LibcChoice::kHost);
std::string unrelocate(std::string_view installed, const Field& field, std::string_view prefix);

// Whether the program, as it is in an unpacked tree, asks for the bundle's own loader: what its kInterpreter field
// says.
LibcChoice libc_of(std::string_view installed, const Field& field);

// The longest prefix, in bytes, that all records have room for; nullopt: any length.
std::optional<std::size_t> longest_prefix(const std::vector<Relocation>& records, LibcChoice libc = LibcChoice::kHost);

}  // namespace holdall::bundle
