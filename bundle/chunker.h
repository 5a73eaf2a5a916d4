// Content-defined cuts (Gear): a change in a file moves only the cuts near it, so that the rest is found again in
// another release. FORMAT.md pins the table and the rule: changing either changes every archive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace holdall::bundle {

inline constexpr std::size_t kMinChunk = 256 * 1024;
inline constexpr std::size_t kMaxChunk = 4 * 1024 * 1024;

// The Gear table: entry i is the first eight bytes, little-endian, of sha256("holdall gear 1 " + decimal i).
std::span<const std::uint64_t, 256> gear_table();

// Finds the cuts of one file. Keep the bytes of the current chunk contiguous and offer them again, longer, until a cut
// is found; bytes that were seen are not scanned twice.
class Chunker {
 public:
  // `chunk` starts at the last cut. Returns the chunk's length if its end lies within `chunk`, else nothing. With
  // `last` (nothing follows in the file) the rest is a chunk too; an empty `chunk` then gives 0.
  std::optional<std::size_t> cut(std::span<const std::byte> chunk, bool last);

 private:
  std::size_t scanned_ = 0;
  std::uint64_t hash_ = 0;
};

}  // namespace holdall::bundle
