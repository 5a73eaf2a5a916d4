#include "packer/elf/sections.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace holdall::packer {
namespace {

constexpr std::uint64_t kMaxSections = 1 << 20;
constexpr std::uint64_t kSymbolBatch = 16384;
constexpr char kDynamicName[] = "_DYNAMIC";
constexpr std::string_view kDynamicSymbol{kDynamicName, sizeof kDynamicName};  // with its NUL

}  // namespace

SectionTable::SectionTable(const ElfFile& file) : file_(file) {
  const Elf64_Ehdr& header = file.header();
  if (header.e_shoff == 0) return;
  if (header.e_shentsize != sizeof(Elf64_Shdr)) file.refuse("unknown size of section headers");
  // From 0xff00 sections on, the first header's sh_size is their number (gABI, "Sections").
  const std::uint64_t count = header.e_shnum != 0 ? header.e_shnum : file.read_as<Elf64_Shdr>(header.e_shoff).sh_size;
  if (count > kMaxSections) file.refuse("too many sections");
  if (count > file.size() / sizeof(Elf64_Shdr)) file.refuse("its section headers are not all in the file");
  original_.resize(count);
  file.read(header.e_shoff, std::as_writable_bytes(std::span(original_)));
  sections_ = original_;
}

std::optional<std::size_t> SectionTable::find(std::uint32_t type, std::uint64_t address) const {
  for (std::size_t i = 1; i < sections_.size(); ++i) {
    const Elf64_Shdr& section = sections_[i];
    if (section.sh_type == type && (section.sh_flags & SHF_ALLOC) != 0 && section.sh_addr == address) return i;
  }
  return std::nullopt;
}

void SectionTable::move(std::size_t index, const Place& place) {
  sections_[index].sh_offset = place.offset;
  sections_[index].sh_addr = place.address;
  sections_[index].sh_size = place.size;
  moved_.push_back(index);
}

void SectionTable::plan(PatchList& patches) const {
  if (moved_.empty()) return;
  patches.change(file_.header().e_shoff, std::span(original_), std::span(sections_));
  for (const std::uint32_t type : {SHT_SYMTAB, SHT_DYNSYM}) {  // a file has at most one of each
    const auto table = std::ranges::find(original_, type, &Elf64_Shdr::sh_type);
    if (table != original_.end()) plan_symbols(*table, patches);
  }
}

void SectionTable::plan_symbols(const Elf64_Shdr& table, PatchList& patches) const {
  if (table.sh_link >= original_.size()) file_.refuse("a symbol table has no names");
  const Elf64_Shdr& names = original_[table.sh_link];
  // Only a moved dynamic section concerns a symbol that has a name; symbols of sections are local, and those come
  // first.
  const bool named =
      std::ranges::any_of(moved_, [this](std::size_t index) { return original_[index].sh_type == SHT_DYNAMIC; });
  std::uint64_t count = table.sh_size / sizeof(Elf64_Sym);
  if (!named) count = std::min<std::uint64_t>(count, table.sh_info);
  std::vector<Elf64_Sym> batch, changed;
  for (std::uint64_t first = 0; first < count; first += batch.size()) {
    batch.resize(std::min(kSymbolBatch, count - first));
    const std::uint64_t offset = table.sh_offset + first * sizeof(Elf64_Sym);
    file_.read(offset, std::as_writable_bytes(std::span(batch)));
    changed = batch;
    for (Elf64_Sym& symbol : changed) symbol.st_value = moved_value(symbol, names);
    patches.change(offset, std::span<const Elf64_Sym>(batch), std::span<const Elf64_Sym>(changed));
  }
}

std::uint64_t SectionTable::moved_value(const Elf64_Sym& symbol, const Elf64_Shdr& names) const {
  for (const std::size_t index : moved_) {
    const bool section = ELF64_ST_TYPE(symbol.st_info) == STT_SECTION && symbol.st_shndx == index;
    const bool dynamic = original_[index].sh_type == SHT_DYNAMIC && symbol.st_value == original_[index].sh_addr &&
                         ELF64_ST_TYPE(symbol.st_info) != STT_SECTION && is_called_dynamic(symbol.st_name, names);
    if (section || dynamic) return sections_[index].sh_addr;
  }
  return symbol.st_value;
}

bool SectionTable::is_called_dynamic(std::uint64_t name, const Elf64_Shdr& names) const {
  std::array<char, kDynamicSymbol.size()> text{};
  if (name > names.sh_size || text.size() > names.sh_size - name) return false;
  file_.read(names.sh_offset + name, std::as_writable_bytes(std::span(text)));
  return std::string_view(text.data(), text.size()) == kDynamicSymbol;
}

}  // namespace holdall::packer
