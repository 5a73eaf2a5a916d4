// Plans the change of a few bytes of an ELF file, so that gigabytes are streamed and never rewritten.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bundle/toc.h"
#include "packer/elf_file.h"

namespace holdall::packer {

// DT_RPATH also serves indirect needs and beats LD_LIBRARY_PATH, so that nothing of the host's leaks in.
enum class RpathTag { kRpath, kRunpath };

struct ElfWant {
  std::optional<std::string> rpath;
  RpathTag rpath_tag = RpathTag::kRpath;
  std::optional<std::string> interpreter;
};

// What does not fit into the bytes of what it replaces is appended to the file as a tail, which the loader must map.
enum class ElfPlacement {
  kAuto,         // the first of these that can serve
  kInPlace,      // no tail
  kLastSegment,  // the last PT_LOAD grows over the tail
  kNewHeaders,   // the program headers move into the tail and get a PT_LOAD for it: shared objects only
  kNoteSegment,  // a PT_NOTE becomes the PT_LOAD, and the table stays where the kernel looks for it: executables only
};

// Where the dynamic section stays when it has no slot for a new entry.
enum class DynamicRoom { kAuto, kMove };

struct ElfEditOptions {  // other than the defaults: for tests and measurements
  ElfPlacement placement = ElfPlacement::kAuto;
  DynamicRoom dynamic_room = DynamicRoom::kAuto;
};

// Bytes of a tail: given ones, or a range of the original file, which may be large.
struct ElfTailPiece {
  std::string bytes{};
  std::uint64_t copy_offset = 0, copy_size = 0;  // if `bytes` is empty
  std::uint64_t size() const { return bytes.empty() ? copy_size : bytes.size(); }
};

struct ElfEdit {
  std::vector<bundle::ElfPatch> patches{};  // ascending, apart, inside the original
  std::vector<ElfTailPiece> tail{};         // starts where the original ends
  std::uint64_t original_size = 0;
  ElfPlacement placement = ElfPlacement::kInPlace;  // what served; never kAuto
  bool empty() const { return patches.empty() && tail.empty(); }
  std::uint64_t size() const;  // of the edited file
};

// Nothing is planned for what is already as wanted. The old library path's bytes become NUL, as far as no other name
// shares them. Nothing else changes: other dynamic entries, symbols, notes that matter and the segments' places stay.
// The plan is proven before it is returned: the file is read again as edited, and says what was wanted.
// Throws Error{kCannotPack} naming the file and the reason when that is not possible: statically linked, the dynamic
// loader itself, tables that lead out of the file or contradict each other, or no place for what does not fit.
ElfEdit plan_edit(const ElfFile& file, const ElfWant& want, const ElfEditOptions& options = {});

// What the TOC keeps of an edit, so that it can be verified and undone.
bundle::ElfRecord record_of(const ElfEdit& edit, const bundle::Digest& original_digest);

}  // namespace holdall::packer
