#include <algorithm>
#include <cstring>
#include <numeric>

#include "bundle/error.h"
#include "packer/elf/edit.h"
#include "packer/elf/edited_file.h"
#include "packer/elf/names.h"
#include "packer/elf/patch_list.h"
#include "packer/elf/placement.h"
#include "packer/elf/sections.h"

namespace holdall::packer {
namespace {

constexpr std::size_t kSpareEntries = 4;  // in a dynamic section that moved, so that the next edit finds a slot
// No gap between the program headers and the section behind them: strip loses the gap, and with it its own bearings.
constexpr std::uint64_t kTableAlignment = alignof(Elf64_Dyn);
static_assert(sizeof(Elf64_Phdr) % kTableAlignment == 0);

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

template <typename Record>
std::span<const Record> one(const Record& record) {
  return {&record, 1};
}

bool is_path_tag(std::int64_t tag) {
  return tag == DT_RPATH || tag == DT_RUNPATH;
}

template <typename Record>
std::string bytes_of(const std::vector<Record>& records) {
  std::string bytes(records.size() * sizeof(Record), '\0');
  std::memcpy(bytes.data(), records.data(), bytes.size());
  return bytes;
}

std::uint64_t size_of(const std::vector<ElfTailPiece>& tail) {
  return std::accumulate(tail.begin(), tail.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const ElfTailPiece& piece) { return sum + piece.size(); });
}

// A range of the string table that belongs to old library paths alone, and what it becomes.
struct StringChange {
  std::uint64_t index = 0;
  std::string old_bytes, new_bytes;
};

// Copies the tables that change, changes the copies, and plans what differs.
class Planner {
 public:
  Planner(const ElfFile& file, const ElfWant& want, const ElfEditOptions& options)
      : file_(file), want_(want), options_(options), header_(file.header()), segments_(file.segments()) {
    edit_.original_size = file.size();
  }

  ElfEdit run() {
    refuse_other_kinds();
    read_dynamic();
    if (want_.rpath) set_rpath(*want_.rpath);
    if (want_.interpreter) set_interpreter(*want_.interpreter);
    if (moves_dynamic_ || tail_path_ || tail_interpreter_) append_tail();
    plan_tables();
    return std::move(edit_);
  }

 private:
  bool in_place_only() const { return options_.placement == ElfPlacement::kInPlace; }
  bool may_stay_in_place() const { return options_.placement == ElfPlacement::kAuto || in_place_only(); }

  void refuse_other_kinds() const {
    if (file_.dynamic().empty()) file_.refuse(goal() + "it is linked statically");
    const auto flags = file_.entry(DT_FLAGS_1);
    if (flags && (flags->value & DF_1_PIE) != 0 && !file_.interpreter())
      file_.refuse(goal() + "it is linked statically, as a position-independent executable");
    const std::string name = file_.string(DT_SONAME).value_or("");
    if (name.starts_with("ld-linux") || name.starts_with("ld64.so") || name.starts_with("libc.musl-"))
      file_.refuse(goal() + "it is the dynamic loader");
    if (file_.string_table_size() == 0) file_.refuse(goal() + "it has no string table");
  }

  std::string goal() const {
    return want_.rpath ? "cannot set its library path to '" + *want_.rpath + "': "
                       : "cannot set its interpreter to '" + want_.interpreter.value_or("") + "': ";
  }

  // The whole section, with the empty entries at its end.
  void read_dynamic() {
    const Elf64_Phdr& segment = segment_of(PT_DYNAMIC);
    original_dynamic_.resize(segment.p_filesz / sizeof(Elf64_Dyn));
    file_.read(segment.p_offset, std::as_writable_bytes(std::span(original_dynamic_)));
    if (original_dynamic_.size() <= file_.dynamic().size()) file_.refuse("its dynamic section has no end");
    // The loader goes by the address, we go by the offset: they must mean the same bytes.
    if (file_.offset_of(segment.p_vaddr, segment.p_filesz) != segment.p_offset)
      file_.refuse("its dynamic section is mapped from elsewhere");
    dynamic_ = original_dynamic_;
  }

  // The first of that kind, which the callers know to be there.
  Elf64_Phdr& segment_of(std::uint32_t type) { return *std::ranges::find(segments_, type, &Elf64_Phdr::p_type); }
  Elf64_Dyn& dynamic_entry(std::int64_t tag) { return *std::ranges::find(dynamic_, tag, &Elf64_Dyn::d_tag); }

  void set_rpath(const std::string& wanted) {
    std::vector<std::size_t> entries;
    for (std::size_t i = 0; i < file_.dynamic().size(); ++i) {
      if (is_path_tag(dynamic_[i].d_tag)) entries.push_back(i);
    }
    const std::int64_t tag = want_.rpath_tag == RpathTag::kRpath ? DT_RPATH : DT_RUNPATH;
    if (entries.empty()) {
      path_entry_ = take_slot();
      dynamic_[path_entry_] = {.d_tag = tag, .d_un = {.d_val = 0}};
      tail_path_ = wanted;
      return;
    }
    if (entries.size() == 1 && file_.string_at(dynamic_[entries.front()].d_un.d_val) == wanted) {
      dynamic_[entries.front()].d_tag = tag;
      return;
    }
    std::vector<std::uint64_t> indices;
    for (const std::size_t entry : entries) indices.push_back(dynamic_[entry].d_un.d_val);
    const std::vector<NameBytes> names = names_at(file_, indices);
    blank(names);
    const auto roomiest = std::ranges::max_element(names, {}, &NameBytes::room);
    const std::size_t kept = entries[static_cast<std::size_t>(roomiest - names.begin())];
    dynamic_[kept].d_tag = tag;
    if (may_stay_in_place() && wanted.size() <= roomiest->room()) {
      write_over(roomiest->index, wanted);
    } else if (in_place_only()) {
      refuse_for_room(wanted, *roomiest);
    } else {
      tail_path_ = wanted;
    }
    path_entry_ = keep_only(entries, kept);
  }

  [[noreturn]] void refuse_for_room(const std::string& wanted, const NameBytes& name) const {
    std::string why = "its room is " + std::to_string(name.room()) + " bytes ('" + file_.string_at(name.index) + "')";
    if (name.sharer) why += ", because the name '" + file_.string_at(*name.sharer) + "' shares its bytes";
    file_.refuse("cannot set its library path to '" + wanted + "': " + why + ": link it with a longer -Wl,-rpath");
  }

  // The old texts, as far as they are in no other name, become NUL: they may tell where the file was built.
  void blank(const std::vector<NameBytes>& names) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (const NameBytes& name : names) {
      if (name.own != 0) ranges.emplace_back(name.index, name.index + name.own);
    }
    std::ranges::sort(ranges);
    for (const auto& [from, to] : ranges) {
      const std::uint64_t end = strings_.empty() ? 0 : strings_.back().index + strings_.back().old_bytes.size();
      if (strings_.empty() || from > end) strings_.push_back({.index = from, .old_bytes = {}, .new_bytes = {}});
      StringChange& change = strings_.back();
      if (to > change.index + change.old_bytes.size()) change.old_bytes.resize(to - change.index);
    }
    for (StringChange& change : strings_) {
      file_.read(file_.string_table_offset() + change.index, std::as_writable_bytes(std::span(change.old_bytes)));
      // A NUL between two old texts stays one.
      change.new_bytes.assign(change.old_bytes.size(), '\0');
    }
  }

  void write_over(std::uint64_t index, const std::string& text) {
    for (StringChange& change : strings_) {
      if (index >= change.index && index - change.index < change.new_bytes.size())
        change.new_bytes.replace(index - change.index, text.size(), text);
    }
  }

  // Where both tags stand, or one twice, the loader obeys one of them: the others go, and what follows moves up.
  std::size_t keep_only(const std::vector<std::size_t>& entries, std::size_t kept) {
    std::size_t place = kept;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (*entry == kept) continue;
      dynamic_.erase(dynamic_.begin() + static_cast<std::ptrdiff_t>(*entry));
      dynamic_.push_back({.d_tag = DT_NULL, .d_un = {.d_val = 0}});
      if (*entry < kept) --place;
    }
    return place;
  }

  // An entry to fill: the first empty one if another one remains as the end, else one of a section that moves.
  std::size_t take_slot() {
    const std::size_t first = file_.dynamic().size();
    const bool has_slot = first + 1 < dynamic_.size() && dynamic_[first + 1].d_tag == DT_NULL;
    if (has_slot && options_.dynamic_room == DynamicRoom::kAuto) return first;
    moves_dynamic_ = true;
    dynamic_.resize(first);
    dynamic_.resize(first + 2 + kSpareEntries);
    return first;
  }

  void set_interpreter(const std::string& wanted) {
    const auto held = file_.interpreter();
    const std::string mine = "cannot set its interpreter to '" + wanted + "': ";
    if (!held) file_.refuse(mine + "it has none");
    if (*held == wanted) return;
    const Elf64_Phdr& segment = segment_of(PT_INTERP);
    if (may_stay_in_place() && wanted.size() < segment.p_filesz) {
      replace_interpreter(segment, wanted);
    } else if (in_place_only()) {
      file_.refuse(mine + "its room is " + std::to_string(segment.p_filesz - 1) + " bytes");
    } else {
      tail_interpreter_ = wanted;
    }
  }

  // In its place; what remains becomes NUL.
  void replace_interpreter(const Elf64_Phdr& segment, std::string text) {
    std::string old_bytes(segment.p_filesz, '\0');
    file_.read(segment.p_offset, std::as_writable_bytes(std::span(old_bytes)));
    text.resize(old_bytes.size());
    patches_.replace(segment.p_offset, std::move(old_bytes), std::move(text));
  }

  void append_tail() {
    if (in_place_only()) file_.refuse(goal() + "it has no entry for one: link it with -Wl,-rpath," + *want_.rpath);
    TailPlace place =
        place_tail(file_, options_.placement, moves_dynamic_ ? TailAccess::kWritable : TailAccess::kReadOnly, goal());
    edit_.placement = place.kind;
    segments_ = place.segments;
    SectionTable sections(file_);
    std::uint64_t end = place.offset + place.headers_size;
    const auto take = [&](std::uint64_t size, std::uint64_t alignment) {
      const std::uint64_t offset = align_up(end, alignment);
      end = offset + size;
      return Place{.offset = offset, .address = place.address + (offset - place.offset), .size = size};
    };
    std::optional<Place> dynamic, interpreter, strings;
    if (moves_dynamic_) {
      dynamic = take(dynamic_.size() * sizeof(Elf64_Dyn), kTableAlignment);
      move_dynamic(*dynamic, sections);
    }
    if (tail_interpreter_) {
      interpreter = take(tail_interpreter_->size() + 1, 1);
      move_interpreter(*interpreter, sections);
    }
    if (tail_path_) {
      strings = take(file_.string_table_size() + tail_path_->size() + 1, 1);
      move_strings(*strings, sections);
    }
    Elf64_Phdr& mapped = segments_[place.segment];
    mapped.p_filesz = mapped.p_memsz = end - mapped.p_offset;
    sections.plan(patches_);

    if (place.headers_size != 0) {
      header_.e_phoff = place.offset;
      header_.e_phnum = static_cast<Elf64_Half>(segments_.size());
      append_at(place.offset, bytes_of(segments_));
    }
    if (dynamic) append_at(dynamic->offset, bytes_of(dynamic_));
    if (interpreter) append_at(interpreter->offset, *tail_interpreter_ + '\0');
    if (strings) append_strings(strings->offset);
  }

  void move_dynamic(const Place& place, SectionTable& sections) {
    Elf64_Phdr& segment = segment_of(PT_DYNAMIC);
    if (const auto section = sections.find(SHT_DYNAMIC, segment.p_vaddr)) sections.move(*section, place);
    // The first word of the global offset table is the address of the dynamic section (psABIs of x86-64 and AArch64).
    if (const auto table = file_.entry(DT_PLTGOT)) {
      const std::uint64_t offset = file_.offset_of(table->value, sizeof(std::uint64_t));
      const auto word = file_.read_as<std::uint64_t>(offset);
      if (word == segment.p_vaddr) patches_.change(offset, one(word), one(place.address));
    }
    move_segment(segment, place);
  }

  void move_interpreter(const Place& place, SectionTable& sections) {
    Elf64_Phdr& segment = segment_of(PT_INTERP);
    if (const auto section = sections.find(SHT_PROGBITS, segment.p_vaddr)) sections.move(*section, place);
    replace_interpreter(segment, {});
    move_segment(segment, place);
  }

  void move_strings(const Place& place, SectionTable& sections) {
    const std::uint64_t size = file_.string_table_size();
    if (file_.read_as<char>(file_.string_table_offset() + size - 1) != '\0')
      file_.refuse(goal() + "its string table does not end with a NUL");
    Elf64_Dyn& table = dynamic_entry(DT_STRTAB);
    if (const auto section = sections.find(SHT_STRTAB, table.d_un.d_ptr)) sections.move(*section, place);
    table.d_un.d_ptr = place.address;
    dynamic_entry(DT_STRSZ).d_un.d_val = place.size;
    dynamic_[path_entry_].d_un.d_val = size;
  }

  static void move_segment(Elf64_Phdr& segment, const Place& place) {
    segment.p_offset = place.offset;
    segment.p_vaddr = segment.p_paddr = place.address;
    segment.p_filesz = segment.p_memsz = place.size;
  }

  // Fills up with zeros to `offset` of the file.
  void pad_to(std::uint64_t offset) {
    if (offset != edit_.size()) edit_.tail.push_back({.bytes = std::string(offset - edit_.size(), '\0')});
  }
  void append_at(std::uint64_t offset, std::string bytes) {
    pad_to(offset);
    edit_.tail.push_back({.bytes = std::move(bytes)});
  }

  // A copy of the string table, without the old paths, and the new path at its end.
  void append_strings(std::uint64_t offset) {
    const std::uint64_t start = file_.string_table_offset();
    pad_to(offset);
    std::uint64_t copied = 0;
    const auto copy_until = [&](std::uint64_t index) {
      if (index != copied) edit_.tail.push_back({.copy_offset = start + copied, .copy_size = index - copied});
      copied = index;
    };
    for (const StringChange& change : strings_) {
      copy_until(change.index);
      edit_.tail.push_back({.bytes = change.new_bytes});
      copied += change.new_bytes.size();
    }
    copy_until(file_.string_table_size());
    edit_.tail.push_back({.bytes = *tail_path_ + '\0'});
  }

  void plan_tables() {
    patches_.change(0, one(file_.header()), one(header_));
    if (header_.e_phoff == file_.header().e_phoff)
      patches_.change(header_.e_phoff, std::span(file_.segments()), std::span<const Elf64_Phdr>(segments_));
    if (!moves_dynamic_) {
      patches_.change(segment_of(PT_DYNAMIC).p_offset, std::span<const Elf64_Dyn>(original_dynamic_),
                      std::span<const Elf64_Dyn>(dynamic_));
    }
    for (const StringChange& change : strings_)
      patches_.replace(file_.string_table_offset() + change.index, change.old_bytes, change.new_bytes);
    edit_.patches = patches_.take();
    std::uint64_t end = 0;
    for (const bundle::ElfPatch& patch : edit_.patches) {
      if (patch.offset < end) file_.refuse(goal() + "its tables overlap");
      end = patch.offset + patch.old_bytes.size();
    }
  }

  const ElfFile& file_;
  const ElfWant& want_;
  const ElfEditOptions& options_;
  Elf64_Ehdr header_;
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Dyn> original_dynamic_, dynamic_;
  std::size_t path_entry_ = 0;
  std::vector<StringChange> strings_;
  std::optional<std::string> tail_path_, tail_interpreter_;
  bool moves_dynamic_ = false;
  PatchList patches_;
  ElfEdit edit_;
};

// What the loader will read, against what was wanted and what must not change.
void prove(const ElfFile& original, const ElfEdit& edit, const ElfWant& want) {
  const ElfFile edited(std::make_shared<const EditedFile>(original.file(), edit));
  ElfInfo expected = describe(original);
  if (want.rpath) {
    const bool rpath = want.rpath_tag == RpathTag::kRpath;
    expected.rpath = rpath ? want.rpath : std::nullopt;
    expected.runpath = rpath ? std::nullopt : want.rpath;
  }
  if (want.interpreter) expected.interpreter = want.interpreter;
  const ElfInfo found = describe(edited);
  const bool same = found.needed == expected.needed && found.soname == expected.soname &&
                    found.rpath == expected.rpath && found.runpath == expected.runpath &&
                    found.interpreter == expected.interpreter && found.needed_versions == expected.needed_versions;
  if (!same) original.refuse("its tables contradict each other: an edit of it would not read as planned");
}

}  // namespace

std::uint64_t ElfEdit::size() const {
  return original_size + size_of(tail);
}

ElfEdit plan_edit(const ElfFile& file, const ElfWant& want, const ElfEditOptions& options) {
  ElfEdit edit = Planner(file, want, options).run();
  if (!edit.empty()) prove(file, edit, want);
  return edit;
}

bundle::ElfRecord record_of(const ElfEdit& edit, const bundle::Digest& original_digest) {
  return {.patches = edit.patches, .original_size = edit.original_size, .original_digest = original_digest};
}

}  // namespace holdall::packer
