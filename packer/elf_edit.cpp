#include "packer/elf_edit.h"

#include <algorithm>
#include <cstring>

namespace holdall::packer {
namespace {

constexpr std::uint64_t kSymbolBatch = 65536;

// How many symbols the dynamic symbol table has. Nothing says so directly: DT_HASH does, DT_GNU_HASH only for what it
// hashes, and the section header may be stripped. The largest answer is taken: too many only means too careful.
std::uint64_t symbol_count(const ElfFile& file) {
  const auto symbols = file.entry(DT_SYMTAB);
  if (!symbols) return 0;
  std::uint64_t count = 0;
  bool known = false;
  if (const auto hash = file.entry(DT_HASH)) {
    count = file.read_as<std::uint32_t>(file.offset_of(hash->value + 4, 4));
    known = true;
  }
  const Elf64_Ehdr& header = file.header();
  if (header.e_shoff != 0 && header.e_shentsize == sizeof(Elf64_Shdr) && header.e_shoff < file.size()) {
    const std::uint64_t sections =
        std::min<std::uint64_t>(header.e_shnum, (file.size() - header.e_shoff) / sizeof(Elf64_Shdr));
    for (std::uint64_t i = 0; i < sections; ++i) {
      const auto section = file.read_as<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
      if (section.sh_type != SHT_DYNSYM) continue;
      count = std::max(count, section.sh_size / sizeof(Elf64_Sym));
      known = true;
    }
  }
  const auto names = file.entry(DT_STRTAB);
  if (!known && names && names->value > symbols->value) {  // linkers put the names behind the symbols
    count = (names->value - symbols->value) / sizeof(Elf64_Sym);
    known = true;
  }
  if (!known) file.refuse("the size of its symbol table is not known");
  return count;
}

// Every place in the string table that something other than the path entry points at.
std::vector<std::uint64_t> name_references(const ElfFile& file) {
  std::vector<std::uint64_t> result;
  for (const DynamicEntry& entry : file.dynamic()) {
    switch (entry.tag) {
      case DT_NEEDED:
      case DT_SONAME:
      case DT_AUXILIARY:
      case DT_FILTER:
      case DT_CONFIG:
      case DT_DEPAUDIT:
      case DT_AUDIT:
        result.push_back(entry.value);
        break;
      default:
        break;
    }
  }
  for (const NeededVersion& version : file.needed_versions()) {
    result.push_back(version.library_name);
    result.push_back(version.version_name);
  }
  if (const auto table = file.entry(DT_VERDEF)) {
    const auto total = file.entry(DT_VERDEFNUM);
    std::uint64_t at = table->value;
    for (std::uint64_t i = 0; total && i < total->value; ++i) {
      const auto definition = file.read_as<Elf64_Verdef>(file.offset_of(at, sizeof(Elf64_Verdef)));
      std::uint64_t name_at = at + definition.vd_aux;
      for (unsigned j = 0; j < definition.vd_cnt; ++j) {
        const auto name = file.read_as<Elf64_Verdaux>(file.offset_of(name_at, sizeof(Elf64_Verdaux)));
        result.push_back(name.vda_name);
        if (name.vda_next == 0) break;
        name_at += name.vda_next;
      }
      if (definition.vd_next == 0) break;
      at += definition.vd_next;
    }
  }
  const std::uint64_t symbols = symbol_count(file);
  std::vector<Elf64_Sym> batch;
  for (std::uint64_t first = 0; first < symbols; first += batch.size()) {
    batch.resize(std::min(kSymbolBatch, symbols - first));
    const std::uint64_t bytes = batch.size() * sizeof(Elf64_Sym);
    file.read(file.offset_of(file.entry(DT_SYMTAB)->value + first * sizeof(Elf64_Sym), bytes),
              std::as_writable_bytes(std::span(batch)));
    for (const Elf64_Sym& symbol : batch) result.push_back(symbol.st_name);
  }
  return result;
}

// Where the string that contains `index` begins: suffix merging lets a name start inside another.
std::uint64_t start_of_string(const ElfFile& file, std::uint64_t index) {
  while (index > 0 && file.read_as<char>(file.string_table_offset() + index - 1) != '\0') --index;
  return index;
}

bundle::ElfPatch replacement(std::uint64_t offset, const std::string& old_text, const std::string& new_text) {
  std::string filled = new_text;
  filled.resize(old_text.size(), '\0');
  return {offset, old_text, filled};
}

std::string bytes_of(std::int64_t value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

void plan_rpath(const ElfFile& file, const ElfWant& want, ElfEdit& edit) {
  const std::string& wanted = *want.rpath;
  std::vector<DynamicEntry> entries;
  std::ranges::copy_if(file.dynamic(), std::back_inserter(entries),
                       [](const DynamicEntry& entry) { return entry.tag == DT_RPATH || entry.tag == DT_RUNPATH; });
  const std::string goal = "cannot set its library path to '" + wanted + "': ";
  if (file.dynamic().empty()) file.refuse(goal + "it is linked statically");
  if (entries.empty()) file.refuse(goal + "it has no room for one: link it with -Wl,-rpath," + wanted);
  if (entries.size() > 1) file.refuse(goal + "it has both DT_RPATH and DT_RUNPATH: link it with one of them");
  const DynamicEntry& entry = entries.front();
  const std::string held = file.string_at(entry.value);
  if (held != wanted) {
    if (wanted.size() > held.size()) {
      file.refuse(goal + "its room is " + std::to_string(held.size()) + " bytes ('" + held +
                  "'): link it with a longer -Wl,-rpath");
    }
    const std::uint64_t start = start_of_string(file, entry.value), end = entry.value + held.size();
    for (const std::uint64_t name : name_references(file)) {
      if (name >= start && name < end) {
        file.refuse(goal + "the name '" + file.string_at(name) + "' shares its bytes with '" + held + "'");
      }
    }
    edit.patches.push_back(replacement(file.string_table_offset() + entry.value, held, wanted));
  }
  const std::int64_t tag = want.rpath_tag == RpathTag::kRpath ? DT_RPATH : DT_RUNPATH;
  if (entry.tag != tag) edit.patches.push_back({entry.file_offset, bytes_of(entry.tag), bytes_of(tag)});
}

void plan_interpreter(const ElfFile& file, const std::string& wanted, ElfEdit& edit) {
  const auto held = file.interpreter();
  const std::string goal = "cannot set its interpreter to '" + wanted + "': ";
  if (!held) file.refuse(goal + "it has none");
  if (*held == wanted) return;
  for (const Elf64_Phdr& segment : file.segments()) {
    if (segment.p_type != PT_INTERP) continue;
    if (wanted.size() >= segment.p_filesz) {
      file.refuse(goal + "its room is " + std::to_string(segment.p_filesz - 1) + " bytes");
    }
    std::string old_bytes(segment.p_filesz, '\0');
    file.read(segment.p_offset, std::as_writable_bytes(std::span(old_bytes)));
    edit.patches.push_back(replacement(segment.p_offset, old_bytes, wanted));
    return;
  }
}

}  // namespace

ElfEdit plan_edit(const ElfFile& file, const ElfWant& want) {
  ElfEdit edit{.patches = {}, .tail = {}, .original_size = file.size()};
  if (want.rpath) plan_rpath(file, want, edit);
  if (want.interpreter) plan_interpreter(file, *want.interpreter, edit);
  std::ranges::sort(edit.patches, {}, &bundle::ElfPatch::offset);
  return edit;
}

void apply_patches(const std::vector<bundle::ElfPatch>& patches, std::uint64_t offset, std::span<std::byte> window) {
  const std::uint64_t end = offset + window.size();
  for (const bundle::ElfPatch& patch : patches) {
    const std::uint64_t from = std::max(patch.offset, offset);
    const std::uint64_t to = std::min(patch.offset + patch.new_bytes.size(), end);
    if (from < to)
      std::memcpy(window.data() + (from - offset), patch.new_bytes.data() + (from - patch.offset), to - from);
  }
}

}  // namespace holdall::packer
