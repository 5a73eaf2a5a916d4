// What a zip cannot hold, found before anything is written.
#pragma once

#include <cstdint>

#include "packer/plan.h"

namespace holdall::packer {

enum class Zip64 { kWhereNeeded, kNever };

// In bytes, without ZIP64. Of a file that is deflated: from there on libarchive writes a ZIP64 header, as it may grow
// (archive_write_set_format_zip.c, ZIP_4GB_MAX_UNCOMPRESSED). What is stored, at level 0, does not.
inline constexpr std::uint64_t kLargestDeflatedFile = 0xFF00'0000;
inline constexpr std::uint64_t kLargestStoredFile = 0xFFFF'FFFF;
inline constexpr std::uint64_t kLargestPlainZip = 0xFFFF'FFFE;

// Throws Error{kCannotPack}: for names with a backslash, which unzip programs take for a folder's border; without ZIP64
// also for a file or a number of files that only ZIP64 can hold.
struct ZipTerms {
  Zip64 zip64 = Zip64::kWhereNeeded;
  int level = 4;  // 0: stored
};
void check_zip(const PackPlan& plan, const ZipTerms& terms);

// --zip-symlinks was not given: every link becomes a copy of what it leads to, folders with all that they hold; the
// relocation list and the totals follow. Call it before the plan is put below a folder. Throws Error{kCannotPack} for
// links that lead nowhere or in a circle, all named.
void copy_linked_files(PackPlan& plan);

}  // namespace holdall::packer
