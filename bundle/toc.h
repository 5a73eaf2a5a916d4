// The table of contents: every member of a bundle with its chunks, digests and relocations. FORMAT.md has the JSON.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/digest.h"
#include "bundle/kernel_coverage.h"
#include "bundle/relocation.h"

namespace holdall::bundle {

enum class EntryType { kDirectory, kRegular, kSymlink };

// A run of a file's bytes and the zstd frame that holds it: exactly one frame per chunk.
struct Chunk {
  std::uint64_t frame_offset = 0;  // of the frame in the archive, bytes
  std::uint64_t frame_size = 0;    // compressed, bytes
  std::uint64_t offset = 0;        // of the chunk in the file, bytes
  std::uint64_t size = 0;          // uncompressed, bytes; at most 4 MiB
  Digest digest{};                 // sha256 of the uncompressed bytes
  bool zeros = false;              // all bytes are zero (the frame exists all the same)
};

// One edit of an ELF file: `old_bytes` at `offset` of the vendor's file became `new_bytes` of the same length.
struct ElfPatch {
  std::uint64_t offset = 0;
  std::string old_bytes, new_bytes;
};

// What the packer changed in an ELF file, enough to undo it: write the old bytes, truncate to original_size.
struct ElfRecord {
  std::vector<ElfPatch> patches;
  std::uint64_t original_size = 0;
  Digest original_digest{};
};

struct Entry {
  std::string path;  // relative, '/'-separated, no "." or "..", no trailing slash
  EntryType type = EntryType::kRegular;
  bool executable = false;    // mode 0755 instead of 0644; directories are 0755
  std::uint64_t size = 0;     // bytes of a regular file, as packed
  Digest digest{};            // sha256 of a regular file, as packed
  std::string link_target;    // of a symlink: relative, staying inside the tree
  std::vector<Chunk> chunks;  // of a regular file, ascending and gapless; empty if size is 0
  std::vector<Relocation> relocations;
  std::optional<ElfRecord> elf;
  bool vendor = false;     // a vendor's file, packed byte-identical
  KernelCoverage kernels;  // of a file with fat binaries: all that they carry
  std::string layer;       // "system", "cuda", "runtime", "environment", "app" or "model"
};

struct Toc {
  std::vector<Entry> entries;  // in archive order
};

// Canonical JSON: the same entries give the same bytes.
std::string to_json(const Toc& toc);

// Parses and validates untrusted bytes: every rule of 'Rules for readers' in FORMAT.md (paths, duplicates, a file as
// another's parent, link targets, chunk order and sums, caps) is checked before anything is returned.
// Throws Error{kBadBundle} naming the entry.
Toc parse_toc(std::string_view json);

}  // namespace holdall::bundle
