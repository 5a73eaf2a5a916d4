#include "packer/elf/placement.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

namespace holdall::packer {
namespace {

constexpr std::uint64_t kAlignment = 16;             // of the tail: any table that it holds has less
constexpr std::uint64_t kMaxGap = 1 << 20;           // what may lie between the last segment and the tail, kAuto only
constexpr std::uint64_t kMaxNote = 1 << 16;          // of a note segment that is looked into
constexpr std::uint64_t kMaxExecutableTable = 4096;  // fs/binfmt_elf.c: at most a page of program headers
constexpr std::uint64_t kMaxAddress = std::uint64_t{1} << 56;
constexpr std::uint32_t kPtGnuProperty = 0x6474e553;  // linux/elf.h

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// The largest page of any kernel for the processor: a segment that starts on one has no page in common with another.
std::uint64_t page_size(std::uint16_t machine) {
  return machine == EM_X86_64 ? 4096 : 65536;
}

// Throws unless the PT_LOADs are as every loader demands. Returns where the highest one ends.
std::uint64_t end_of_memory(const ElfFile& file) {
  std::uint64_t end = 0;
  bool any = false;
  for (const Elf64_Phdr& segment : file.segments()) {
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset)
      file.refuse("a segment lies outside the file");
    if (segment.p_filesz > segment.p_memsz) file.refuse("a segment is larger in the file than in memory");
    if (segment.p_vaddr >= kMaxAddress || segment.p_memsz >= kMaxAddress)
      file.refuse("a segment's address is impossible");
    if (any && segment.p_vaddr < end) file.refuse("its segments are not in the order of their addresses");
    end = segment.p_vaddr + segment.p_memsz;
    any = true;
  }
  if (!any) file.refuse("no segment is loaded");
  return end;
}

std::size_t last_load(const std::vector<Elf64_Phdr>& segments) {
  const auto last = std::ranges::find(segments.rbegin(), segments.rend(), PT_LOAD, &Elf64_Phdr::p_type);
  return static_cast<std::size_t>(segments.rend() - last) - 1;
}

// The kernel maps it itself, and finds its program headers by the first segment's place: a program, or a library that
// can be run.
bool is_executable(const ElfFile& file) {
  const auto flags = file.entry(DT_FLAGS_1);
  return file.type() == ET_EXEC || file.interpreter().has_value() || (flags && (flags->value & DF_1_PIE) != 0);
}

class Placer {
 public:
  Placer(const ElfFile& file, TailAccess access)
      : file_(file), access_(access), memory_end_(end_of_memory(file)), page_(page_size(file.machine())) {
    place_.offset = align_up(file.size(), kAlignment);
    place_.segments = file.segments();
  }

  // Each returns why it cannot serve; empty: place() is ready.

  std::string extend_last_segment(std::uint64_t max_gap) {
    const std::size_t index = last_load(place_.segments);
    const Elf64_Phdr& last = place_.segments[index];
    const std::uint64_t end = last.p_offset + last.p_filesz;
    if (last.p_filesz != last.p_memsz) return "its last segment ends with memory that is not in the file";
    for (const Elf64_Phdr& segment : place_.segments) {
      if (segment.p_type == PT_LOAD && segment.p_offset + segment.p_filesz > end)
        return "its last segment in memory is not the last in the file";
    }
    if (access_ == TailAccess::kWritable && (last.p_flags & PF_W) == 0) return "its last segment is read-only";
    if (place_.offset - end > max_gap) return "its last segment ends far before the file does";
    place_.kind = ElfPlacement::kLastSegment;
    place_.segment = index;
    place_.address = last.p_vaddr + (place_.offset - last.p_offset);
    return {};
  }

  // A PT_PHDR is added even to a shared object: without one, glibc takes for the table any earlier segment whose last
  // page, rounded up, covers e_phoff, and that page may since have been zeroed as bss.
  std::string move_headers() {
    if (is_executable(file_)) return "the program headers of an executable cannot move";
    std::vector<Elf64_Phdr>& segments = place_.segments;
    if (segments.size() + 2 >= PN_XNUM) return "it has too many program headers";
    if (std::ranges::find(segments, PT_PHDR, &Elf64_Phdr::p_type) == segments.end()) {
      segments.insert(segments.begin(), Elf64_Phdr{.p_type = PT_PHDR,
                                                   .p_flags = PF_R,
                                                   .p_offset = 0,
                                                   .p_vaddr = 0,
                                                   .p_paddr = 0,
                                                   .p_filesz = 0,
                                                   .p_memsz = 0,
                                                   .p_align = alignof(Elf64_Phdr)});
    }
    place_.kind = ElfPlacement::kNewHeaders;
    // strip lays the table out anew, up to a page below its place: a page stays free for that.
    insert_behind_last_load(new_segment(page_));
    place_.headers_size = segments.size() * sizeof(Elf64_Phdr);
    Elf64_Phdr& table = *std::ranges::find(segments, PT_PHDR, &Elf64_Phdr::p_type);
    table.p_offset = place_.offset;
    table.p_vaddr = table.p_paddr = place_.address;
    table.p_filesz = table.p_memsz = place_.headers_size;
    return {};
  }

  std::string take_note_segment() {
    if (!is_executable(file_)) return "it is no executable";
    std::vector<Elf64_Phdr>& segments = place_.segments;
    if (segments.size() * sizeof(Elf64_Phdr) > kMaxExecutableTable) return "it has too many program headers";
    const auto spare = spare_segment();
    if (!spare) return "it has no note segment to give up";
    segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(*spare));
    place_.kind = ElfPlacement::kNoteSegment;
    insert_behind_last_load(new_segment(0));
    return {};
  }

  TailPlace take() { return std::move(place_); }

 private:
  Elf64_Phdr new_segment(std::uint64_t gap) {
    place_.address = align_up(memory_end_, page_) + gap + place_.offset % page_;
    return {.p_type = PT_LOAD,
            .p_flags = access_ == TailAccess::kWritable ? std::uint32_t{PF_R | PF_W} : std::uint32_t{PF_R},
            .p_offset = place_.offset,
            .p_vaddr = place_.address,
            .p_paddr = place_.address,
            .p_filesz = 0,
            .p_memsz = 0,
            .p_align = page_};
  }

  void insert_behind_last_load(const Elf64_Phdr& segment) {
    place_.segment = last_load(place_.segments) + 1;
    place_.segments.insert(place_.segments.begin() + static_cast<std::ptrdiff_t>(place_.segment), segment);
  }

  // What does nothing at run time, the least useful first: an empty entry, a note that PT_GNU_PROPERTY repeats, one
  // without a build id, any note.
  std::optional<std::size_t> spare_segment() const {
    std::optional<std::size_t> best;
    int best_rank = std::numeric_limits<int>::max();
    for (std::size_t i = 0; i < place_.segments.size(); ++i) {
      const Elf64_Phdr& segment = place_.segments[i];
      int rank = 0;
      if (segment.p_type == PT_NOTE) {
        rank = is_property(segment) ? 1 : !has_build_id(segment) ? 2 : 3;
      } else if (segment.p_type != PT_NULL) {
        continue;
      }
      if (rank < best_rank) {
        best = i;
        best_rank = rank;
      }
    }
    return best;
  }

  bool is_property(const Elf64_Phdr& note) const {
    return std::ranges::any_of(place_.segments, [&](const Elf64_Phdr& other) {
      return other.p_type == kPtGnuProperty && other.p_offset == note.p_offset && other.p_filesz == note.p_filesz;
    });
  }

  bool has_build_id(const Elf64_Phdr& segment) const {
    if (segment.p_filesz > kMaxNote) return true;
    std::string notes(segment.p_filesz, '\0');
    file_.read(segment.p_offset, std::as_writable_bytes(std::span(notes)));
    // namesz 4, descsz, type, "GNU\0"; anywhere will do: a false hit only keeps a note.
    for (std::size_t at = 0; at + 16 <= notes.size(); at += 4) {
      std::array<std::uint32_t, 3> note{};
      std::memcpy(note.data(), notes.data() + at, sizeof note);
      if (note[0] == 4 && note[2] == NT_GNU_BUILD_ID && notes.compare(at + 12, 4, "GNU\0", 4) == 0) return true;
    }
    return false;
  }

  const ElfFile& file_;
  const TailAccess access_;
  const std::uint64_t memory_end_, page_;
  TailPlace place_;
};

}  // namespace

TailPlace place_tail(const ElfFile& file, ElfPlacement wanted, TailAccess access, const std::string& goal) {
  std::string reasons;
  const auto attempt = [&](ElfPlacement kind, auto step) -> std::optional<TailPlace> {
    if (wanted != ElfPlacement::kAuto && wanted != kind) return std::nullopt;
    Placer placer(file, access);
    const std::string reason = step(placer);
    if (reason.empty()) return placer.take();
    reasons += (reasons.empty() ? "" : ", and ") + reason;
    return std::nullopt;
  };
  const std::uint64_t max_gap = wanted == ElfPlacement::kAuto ? kMaxGap : std::numeric_limits<std::uint64_t>::max();
  if (auto place = attempt(ElfPlacement::kLastSegment, [&](Placer& p) { return p.extend_last_segment(max_gap); }))
    return *std::move(place);
  if (auto place = attempt(ElfPlacement::kNewHeaders, [](Placer& p) { return p.move_headers(); }))
    return *std::move(place);
  if (auto place = attempt(ElfPlacement::kNoteSegment, [](Placer& p) { return p.take_note_segment(); }))
    return *std::move(place);
  file.refuse(goal + "nothing can be appended to it: " + reasons);
}

}  // namespace holdall::packer
