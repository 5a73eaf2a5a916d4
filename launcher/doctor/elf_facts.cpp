#include "launcher/doctor/elf_facts.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "bundle/file_io.h"

namespace holdall::launcher {
namespace {

constexpr std::uint64_t kMaxStrings = 16u << 20;  // libtorch's largest string table is under 8 MiB
constexpr std::uint64_t kMaxVersions = 1u << 20;
constexpr std::size_t kMaxRecords = 4096;  // together; libtorch_cpu needs 53, glibc gives 39
constexpr std::size_t kMaxName = 256;
constexpr std::uint64_t kMaxNote = 4096;

class ElfFile {
 public:
  explicit ElfFile(int fd) : fd_(fd) {}

  bool read(std::uint64_t offset, void* out, std::size_t size) const {
    return bundle::pread_all(fd_, {static_cast<std::byte*>(out), size}, offset) == static_cast<ssize_t>(size);
  }

  // Bytes at a virtual address, up to the end of the segment's file part and to `limit`; empty if there are none.
  std::string at_address(std::uint64_t address, std::uint64_t limit) const {
    for (const Elf64_Phdr& segment : segments) {
      if (segment.p_type != PT_LOAD || address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz)
        continue;
      const std::uint64_t skip = address - segment.p_vaddr;
      return bytes(segment.p_offset + skip, std::min(limit, segment.p_filesz - skip));
    }
    return {};
  }

  std::string bytes(std::uint64_t offset, std::uint64_t size) const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0 || offset >= static_cast<std::uint64_t>(status.st_size)) return {};
    std::string out(std::min(size, static_cast<std::uint64_t>(status.st_size) - offset), '\0');
    if (!read(offset, out.data(), out.size())) out.clear();
    return out;
  }

  std::vector<Elf64_Phdr> segments;

 private:
  int fd_;
};

template <class T>
std::optional<T> record(const std::string& bytes, std::uint64_t offset) {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string string_at(const std::string& strings, std::uint64_t offset) {
  if (offset >= strings.size()) return {};
  const char* const name = strings.c_str() + offset;
  return std::string(name, ::strnlen(name, kMaxName));
}

void read_needed(const std::string& table, const std::string& strings, std::vector<std::string>& out) {
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < kMaxRecords; ++i) {
    const auto file = record<Elf64_Verneed>(table, at);
    if (!file) return;
    std::uint64_t aux = at + file->vn_aux;
    for (std::size_t j = 0; j < file->vn_cnt && out.size() < kMaxRecords; ++j) {
      const auto version = record<Elf64_Vernaux>(table, aux);
      if (!version) return;
      out.push_back(string_at(strings, version->vna_name));
      if (version->vna_next == 0) break;
      aux += version->vna_next;
    }
    if (file->vn_next == 0) return;
    at += file->vn_next;
  }
}

void read_provided(const std::string& table, const std::string& strings, std::vector<std::string>& out) {
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < kMaxRecords; ++i) {
    const auto definition = record<Elf64_Verdef>(table, at);
    if (!definition) return;
    const auto name = record<Elf64_Verdaux>(table, at + definition->vd_aux);
    if (!name) return;
    if (!(definition->vd_flags & VER_FLG_BASE)) out.push_back(string_at(strings, name->vda_name));
    if (definition->vd_next == 0) return;
    at += definition->vd_next;
  }
}

void read_versions(ElfFile& file, const Elf64_Ehdr& header, ElfFacts& facts) {
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!file.read(header.e_phoff + i * sizeof segment, &segment, sizeof segment)) return;
    file.segments.push_back(segment);
  }
  std::uint64_t strings = 0, strings_size = 0, needed = 0, provided = 0;
  for (const Elf64_Phdr& segment : file.segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    const std::string dynamic = file.bytes(segment.p_offset, std::min<std::uint64_t>(segment.p_filesz, kMaxVersions));
    for (std::uint64_t at = 0; const auto entry = record<Elf64_Dyn>(dynamic, at); at += sizeof(Elf64_Dyn)) {
      if (entry->d_tag == DT_NULL) break;
      if (entry->d_tag == DT_STRTAB) strings = entry->d_un.d_ptr;
      if (entry->d_tag == DT_STRSZ) strings_size = entry->d_un.d_val;
      if (entry->d_tag == DT_VERNEED) needed = entry->d_un.d_ptr;
      if (entry->d_tag == DT_VERDEF) provided = entry->d_un.d_ptr;
    }
  }
  if (strings == 0) return;
  const std::string names = file.at_address(strings, std::min(strings_size, kMaxStrings));
  if (needed != 0) read_needed(file.at_address(needed, kMaxVersions), names, facts.needed_versions);
  if (provided != 0) read_provided(file.at_address(provided, kMaxVersions), names, facts.provided_versions);
}

// A forward compatibility libcuda says in the section .note.cuda.fwd_compatibility for what it is made.
std::string read_forward_compatibility(const ElfFile& file, const Elf64_Ehdr& header) {
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum) return {};
  const std::string sections = file.bytes(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr));
  const auto names_section = record<Elf64_Shdr>(sections, header.e_shstrndx * sizeof(Elf64_Shdr));
  if (!names_section) return {};
  const std::string names = file.bytes(names_section->sh_offset, std::min(names_section->sh_size, kMaxVersions));
  for (std::uint64_t i = 0; const auto section = record<Elf64_Shdr>(sections, i * sizeof(Elf64_Shdr)); ++i) {
    if (section->sh_type != SHT_NOTE || string_at(names, section->sh_name) != ".note.cuda.fwd_compatibility") continue;
    const std::string note = file.bytes(section->sh_offset, std::min<std::uint64_t>(section->sh_size, kMaxNote));
    const auto head = record<Elf64_Nhdr>(note, 0);
    if (!head || string_at(note, sizeof *head) != "NVIDIA Corporation") return {};
    const std::uint64_t text = sizeof *head + (std::uint64_t{head->n_namesz} + 3) / 4 * 4;
    if (text >= note.size()) return {};
    std::string json = note.substr(text, head->n_descsz);
    json.erase(json.find_last_not_of('\0') + 1);
    return json;
  }
  return {};
}

}  // namespace

std::optional<ElfFacts> read_elf(int fd) {
  ElfFile file(fd);
  unsigned char start[20];  // e_ident, e_type, e_machine: alike in both classes
  if (!file.read(0, start, sizeof start) || std::memcmp(start, ELFMAG, SELFMAG) != 0) return std::nullopt;
  ElfFacts facts;
  facts.bits = start[EI_CLASS] == ELFCLASS64 ? 64 : start[EI_CLASS] == ELFCLASS32 ? 32 : 0;
  facts.machine = start[EI_DATA] == ELFDATA2MSB ? static_cast<std::uint16_t>(start[18] << 8 | start[19])
                                                : static_cast<std::uint16_t>(start[19] << 8 | start[18]);
  Elf64_Ehdr header;
  if (facts.bits == 64 && start[EI_DATA] == ELFDATA2LSB && file.read(0, &header, sizeof header)) {
    read_versions(file, header, facts);
    facts.forward_compatibility = read_forward_compatibility(file, header);
  }
  return facts;
}

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86_64";
    case EM_AARCH64:
      return "aarch64";
    case EM_386:
      return "i386";
    case EM_ARM:
      return "arm";
    case EM_PPC64:
      return "ppc64le";
    case EM_RISCV:
      return "riscv64";
    default:
      return "machine " + std::to_string(machine);
  }
}

std::optional<std::string> newest(const std::vector<std::string>& versions, std::string_view prefix) {
  std::optional<std::string> best;
  for (const std::string& name : versions) {
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string number = name.substr(prefix.size());
    if (parse_version(number) && (!best || version_less(*best, number))) best = number;
  }
  return best;
}

}  // namespace holdall::launcher
