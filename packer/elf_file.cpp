#include "packer/elf_file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "bundle/error.h"

namespace holdall::packer {
namespace {

constexpr std::uint64_t kMaxDynamicBytes = 1 << 20;                         // 65,536 entries; real files have some 40
constexpr std::uint64_t kMaxNoteBytes = 1 << 20, kMaxNotesBytes = 8 << 20;  // of one segment, of all
constexpr std::size_t kMaxStringBytes = 1 << 16;
constexpr std::size_t kMaxNamesBytes = 1 << 20;  // of one kind together; libtorch_cpu has 2 KiB of versions
constexpr unsigned kMaxVersions = 1 << 16;

// linux/elf.h and the x86-64 psABI; glibc's elf.h of some distributions lacks them.
constexpr std::uint32_t kX86IsaNeeded = 0xc0008002;
constexpr std::uint32_t kPtGnuProperty = 0x6474e553;

std::uint32_t word_at(std::span<const std::byte> bytes, std::uint64_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

void ElfFile::refuse(const std::string& why) const {
  throw bundle::Error(bundle::ErrorKind::kCannotPack, "cannot use '" + path() + "' as an ELF file: " + why);
}

ElfFile::ElfFile(const std::string& path) : ElfFile(std::make_shared<const InputFile>(path)) {}

ElfFile::ElfFile(std::shared_ptr<const ReadableFile> file) : file_(std::move(file)) {
  if (size() < SELFMAG) refuse("too short");
  const auto identity = read_as<std::array<unsigned char, SELFMAG>>(0);
  if (std::memcmp(identity.data(), ELFMAG, SELFMAG) != 0) refuse("no ELF magic");
  header_ = read_as<Elf64_Ehdr>(0);
  if (header_.e_ident[EI_CLASS] != ELFCLASS64) refuse("not 64-bit");
  if (header_.e_ident[EI_DATA] != ELFDATA2LSB) refuse("not little-endian");
  if (header_.e_type != ET_EXEC && header_.e_type != ET_DYN) refuse("neither an executable nor a shared object");
  if (header_.e_phnum == 0) refuse("no program headers");
  if (header_.e_phnum == PN_XNUM) refuse("too many program headers");
  if (header_.e_phentsize != sizeof(Elf64_Phdr)) refuse("unknown size of program headers");
  segments_.resize(header_.e_phnum);
  read(header_.e_phoff, std::as_writable_bytes(std::span(segments_)));
  read_dynamic();
}

void ElfFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size() || out.size() > size() - offset) refuse("truncated, or a table lies outside the file");
  if (file_->read_some(offset, out) != out.size()) refuse("it became shorter while it was read");
}

void ElfFile::read_dynamic() {
  const auto segment =
      std::ranges::find_if(segments_, [](const Elf64_Phdr& header) { return header.p_type == PT_DYNAMIC; });
  if (segment == segments_.end()) return;
  if (segment->p_filesz > kMaxDynamicBytes) refuse("its dynamic section is too large");
  std::vector<Elf64_Dyn> entries(segment->p_filesz / sizeof(Elf64_Dyn));
  read(segment->p_offset, std::as_writable_bytes(std::span(entries)));
  for (std::size_t i = 0; i < entries.size() && entries[i].d_tag != DT_NULL; ++i) {
    dynamic_.push_back({entries[i].d_tag, entries[i].d_un.d_val, segment->p_offset + i * sizeof(Elf64_Dyn)});
  }
  const auto table = entry(DT_STRTAB);
  const auto table_size = entry(DT_STRSZ);
  if (table && table_size) {
    strings_offset_ = offset_of(table->value, table_size->value);
    strings_size_ = table_size->value;
  }
}

std::uint64_t ElfFile::offset_of(std::uint64_t address, std::uint64_t length) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    const std::uint64_t into = address - segment.p_vaddr;
    if (into > segment.p_filesz || length > segment.p_filesz - into) continue;
    if (segment.p_offset > size() || into + length > size() - segment.p_offset)
      refuse("a segment lies outside the file");
    return segment.p_offset + into;
  }
  refuse("address " + std::to_string(address) + " is in no segment");
}

std::optional<DynamicEntry> ElfFile::entry(std::int64_t tag) const {
  const auto found = std::ranges::find(dynamic_, tag, &DynamicEntry::tag);
  return found == dynamic_.end() ? std::nullopt : std::optional(*found);
}

std::string ElfFile::string_at(std::uint64_t index) const {
  if (index >= strings_size_) refuse("a name lies outside its string table");
  std::string text;
  while (text.size() < kMaxStringBytes) {
    std::array<char, 256> piece{};
    const std::uint64_t at = index + text.size();
    const std::size_t count = std::min<std::uint64_t>(piece.size(), strings_size_ - at);
    if (count == 0) refuse("its string table does not end with a NUL");
    read(strings_offset_ + at, std::as_writable_bytes(std::span(piece.data(), count)));
    const auto end = std::find(piece.data(), piece.data() + count, '\0');
    text.append(piece.data(), static_cast<std::size_t>(end - piece.data()));
    if (end != piece.data() + count) return text;
  }
  refuse("a name is longer than 64 KiB");
}

std::vector<std::string> ElfFile::strings(std::int64_t tag) const {
  std::vector<std::string> result;
  std::size_t bytes = 0;
  for (const DynamicEntry& dynamic_entry : dynamic_) {
    if (dynamic_entry.tag != tag) continue;
    result.push_back(string_at(dynamic_entry.value));
    if ((bytes += result.back().size()) > kMaxNamesBytes) refuse("it names too many libraries");
  }
  return result;
}

std::optional<std::string> ElfFile::string(std::int64_t tag) const {
  const auto found = entry(tag);
  return found ? std::optional(string_at(found->value)) : std::nullopt;
}

std::optional<std::string> ElfFile::interpreter() const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz == 0 || segment.p_filesz > kMaxStringBytes) refuse("its interpreter has an impossible length");
    std::string text(segment.p_filesz, '\0');
    read(segment.p_offset, std::as_writable_bytes(std::span(text)));
    if (text.back() != '\0') refuse("its interpreter does not end with a NUL");
    return text.substr(0, text.find('\0'));
  }
  return std::nullopt;
}

std::vector<NeededVersion> ElfFile::needed_versions() const {
  const auto table = entry(DT_VERNEED);
  const auto count = entry(DT_VERNEEDNUM);
  if (!table || !count) return {};
  std::vector<NeededVersion> result;
  std::size_t steps = 0, bytes = 0;
  const auto bounded = [&](std::size_t more) {
    if (++steps > kMaxVersions || (bytes += more) > kMaxNamesBytes) refuse("it needs too many symbol versions");
  };
  std::uint64_t at = table->value;
  for (std::uint64_t i = 0; i < count->value; ++i) {
    bounded(0);
    const auto need = read_as<Elf64_Verneed>(offset_of(at, sizeof(Elf64_Verneed)));
    const std::string library = string_at(need.vn_file);
    std::uint64_t version_at = at + need.vn_aux;
    for (unsigned j = 0; j < need.vn_cnt; ++j) {
      const auto version = read_as<Elf64_Vernaux>(offset_of(version_at, sizeof(Elf64_Vernaux)));
      result.push_back({library, string_at(version.vna_name), need.vn_file, version.vna_name});
      bounded(library.size() + result.back().version.size());
      if (version.vna_next == 0) break;
      version_at += version.vna_next;
    }
    if (need.vn_next == 0) break;
    at += need.vn_next;
  }
  return result;
}

std::vector<ElfNote> ElfFile::notes() const {
  std::vector<ElfNote> result;
  std::uint64_t bytes = 0;
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != kPtGnuProperty && segment.p_type != PT_NOTE) continue;
    if (segment.p_filesz > kMaxNoteBytes) continue;  // core-dump sized
    // Many headers may lead to the same bytes.
    if ((bytes += segment.p_filesz) > kMaxNotesBytes) refuse("its notes are too large");
    std::vector<std::byte> notes(segment.p_filesz);
    read(segment.p_offset, notes);
    const auto aligned = [](std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to * to; };
    const std::uint64_t alignment = segment.p_align == 8 ? 8 : 4;
    for (std::uint64_t at = 0; at + 12 <= notes.size();) {
      const auto owner_size = word_at(notes, at), size = word_at(notes, at + 4);
      const std::uint64_t contents = at + 12 + aligned(owner_size, 4);
      if (contents > notes.size() || size > notes.size() - contents) break;
      ElfNote& note = result.emplace_back();
      note.owner.assign(reinterpret_cast<const char*>(notes.data()) + at + 12, owner_size);
      if (note.owner.ends_with('\0')) note.owner.pop_back();
      note.type = word_at(notes, at + 8);
      note.contents.assign(notes.begin() + static_cast<std::ptrdiff_t>(contents),
                           notes.begin() + static_cast<std::ptrdiff_t>(contents + size));
      at = aligned(contents + size, alignment);
    }
  }
  return result;
}

int ElfFile::x86_level() const {
  if (machine() != EM_X86_64) return 1;
  int level = 1;
  for (const ElfNote& note : notes()) {
    if (note.owner != "GNU" || note.type != NT_GNU_PROPERTY_TYPE_0) continue;
    const std::span<const std::byte> properties = note.contents;
    for (std::uint64_t at = 0; at + 8 <= properties.size();) {
      const std::uint64_t size = word_at(properties, at + 4);
      if (word_at(properties, at) == kX86IsaNeeded && size >= 4 && at + 12 <= properties.size()) {
        const std::uint32_t bits = word_at(properties, at + 8);  // bit 0: baseline, then v2, v3, v4
        for (int bit = 1; bit < 4; ++bit) {
          if ((bits & (1U << bit)) != 0) level = std::max(level, bit + 1);
        }
      }
      at += 8 + (size + 7) / 8 * 8;
    }
  }
  return level;
}

bool is_elf(const ReadableFile& file) {
  std::array<char, SELFMAG> magic{};
  return file.read_some(0, std::as_writable_bytes(std::span(magic))) == magic.size() &&
         std::memcmp(magic.data(), ELFMAG, SELFMAG) == 0;
}

bool has_elf_magic(const std::string& path) noexcept {
  try {
    return is_elf(InputFile(path));
  } catch (const bundle::Error&) {
    return false;
  }
}

ElfInfo describe(const ElfFile& file) {
  return {.machine = file.machine(),
          .dynamic = !file.dynamic().empty(),
          .needed = file.strings(DT_NEEDED),
          .soname = file.string(DT_SONAME),
          .rpath = file.string(DT_RPATH),
          .runpath = file.string(DT_RUNPATH),
          .interpreter = file.interpreter(),
          .needed_versions = file.needed_versions(),
          .x86_level = file.x86_level()};
}

}  // namespace holdall::packer
