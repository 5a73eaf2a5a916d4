#include "packer/elf/names.h"

#include <algorithm>
#include <array>
#include <limits>

namespace holdall::packer {
namespace {

constexpr std::uint64_t kSymbolBatch = 16384;
constexpr std::uint64_t kMaxName = 1 << 16;  // as ElfFile::string_at
constexpr unsigned kMaxVersions = 1 << 16;   // as ElfFile::needed_versions

// How many symbols the dynamic symbol table has. DT_HASH says it, and the section header, which may be stripped. Else
// it ends at the latest where another table begins: too many only means too careful.
std::uint64_t symbol_count(const ElfFile& file, std::uint64_t table) {
  std::uint64_t count = 0;
  if (const auto hash = file.entry(DT_HASH)) count = file.read_as<std::uint32_t>(file.offset_of(hash->value + 4, 4));
  const Elf64_Ehdr& header = file.header();
  if (header.e_shoff != 0 && header.e_shentsize == sizeof(Elf64_Shdr)) {
    for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
      const auto section = file.read_as<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
      if (section.sh_type == SHT_DYNSYM) count = std::max(count, section.sh_size / sizeof(Elf64_Sym));
    }
  }
  if (count != 0) return count;
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
  for (const Elf64_Phdr& segment : file.segments()) {
    if (segment.p_type == PT_LOAD && segment.p_vaddr <= table && table - segment.p_vaddr < segment.p_filesz)
      end = segment.p_vaddr + segment.p_filesz;
  }
  for (const std::int64_t tag : {DT_STRTAB, DT_GNU_HASH, DT_VERSYM, DT_VERNEED, DT_VERDEF, DT_RELA, DT_RELR, DT_JMPREL,
                                 DT_INIT, DT_FINI, DT_INIT_ARRAY, DT_FINI_ARRAY, DT_PLTGOT}) {
    const auto other = file.entry(tag);
    if (other && other->value > table) end = std::min(end, other->value);
  }
  return (end - table) / sizeof(Elf64_Sym);
}

// Calls visit(index) for every name in the string table that is not a library path.
template <typename Visit>
void visit_names(const ElfFile& file, Visit visit) {
  for (const DynamicEntry& entry : file.dynamic()) {
    switch (entry.tag) {
      case DT_NEEDED:
      case DT_SONAME:
      case DT_AUXILIARY:
      case DT_FILTER:
      case DT_CONFIG:
      case DT_DEPAUDIT:
      case DT_AUDIT:
        visit(entry.value);
        break;
      default:
        break;
    }
  }
  for (const NeededVersion& version : file.needed_versions()) {
    visit(version.library_name);
    visit(version.version_name);
  }
  if (const auto table = file.entry(DT_VERDEF)) {
    const auto total = file.entry(DT_VERDEFNUM);
    std::uint64_t at = table->value;
    unsigned steps = 0;
    const auto bounded = [&] {
      if (++steps > kMaxVersions) file.refuse("it defines too many symbol versions");
    };
    for (std::uint64_t i = 0; total && i < total->value; ++i) {
      bounded();
      const auto definition = file.read_as<Elf64_Verdef>(file.offset_of(at, sizeof(Elf64_Verdef)));
      std::uint64_t name_at = at + definition.vd_aux;
      for (unsigned j = 0; j < definition.vd_cnt; ++j) {
        const auto name = file.read_as<Elf64_Verdaux>(file.offset_of(name_at, sizeof(Elf64_Verdaux)));
        visit(name.vda_name);
        bounded();
        if (name.vda_next == 0) break;
        name_at += name.vda_next;
      }
      if (definition.vd_next == 0) break;
      at += definition.vd_next;
    }
  }
  const auto symbols = file.entry(DT_SYMTAB);
  if (!symbols) return;
  const std::uint64_t count = symbol_count(file, symbols->value);
  std::vector<Elf64_Sym> batch;
  for (std::uint64_t first = 0; first < count; first += batch.size()) {
    batch.resize(std::min(kSymbolBatch, count - first));
    const std::uint64_t bytes = batch.size() * sizeof(Elf64_Sym);
    file.read(file.offset_of(symbols->value + first * sizeof(Elf64_Sym), bytes),
              std::as_writable_bytes(std::span(batch)));
    for (const Elf64_Sym& symbol : batch) visit(symbol.st_name);
  }
}

// Where the text that holds `index` begins: behind the NUL before it.
std::uint64_t start_of_text(const ElfFile& file, std::uint64_t index) {
  std::array<char, 256> piece{};
  for (std::uint64_t end = index; end > 0 && index - end < kMaxName;) {
    const std::uint64_t count = std::min<std::uint64_t>(piece.size(), end);
    file.read(file.string_table_offset() + end - count, std::as_writable_bytes(std::span(piece.data(), count)));
    for (std::uint64_t i = count; i > 0; --i) {
      if (piece[i - 1] == '\0') return end - count + i;
    }
    end -= count;
  }
  return index <= kMaxName ? 0 : index - kMaxName;
}

}  // namespace

std::vector<NameBytes> names_at(const ElfFile& file, std::span<const std::uint64_t> indices) {
  std::vector<NameBytes> names;
  std::vector<std::uint64_t> starts;
  for (const std::uint64_t index : indices) {
    const std::uint64_t length = file.string_at(index).size();
    names.push_back({.index = index, .length = length, .own = length});
    starts.push_back(start_of_text(file, index));
  }
  visit_names(file, [&](std::uint64_t other) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      NameBytes& name = names[i];
      if (other < starts[i] || other >= name.index + name.own) continue;
      name.own = other <= name.index ? 0 : other - name.index;
      name.sharer = other;
    }
  });
  return names;
}

}  // namespace holdall::packer
