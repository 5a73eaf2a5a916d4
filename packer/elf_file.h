// Reads 64-bit little-endian ELF files that nobody vouches for: every offset is checked against the file, sizes are
// capped, and a fault is an Error{kCannotPack} that names the file. Works from the program headers and PT_DYNAMIC, as
// the loader does; section headers are never needed.
#pragma once

#include <elf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "packer/input_file.h"

namespace holdall::packer {

struct DynamicEntry {
  std::int64_t tag = 0;
  std::uint64_t value = 0;
  std::uint64_t file_offset = 0;  // of the entry
};

// "GLIBC_2.34 of libc.so.6".
struct NeededVersion {
  std::string library, version;
  std::uint32_t library_name = 0, version_name = 0;  // string table indices
  bool operator==(const NeededVersion&) const = default;
};

// A note of a PT_NOTE segment: type 3 of "GNU" is the build id.
struct ElfNote {
  std::string owner;
  std::uint32_t type = 0;
  std::vector<std::byte> contents;
};

class ElfFile {
 public:
  // Throws Error{kCannotPack} for what is not ELF, 32-bit, big-endian or broken; Error{kNotFound, kStorage}.
  explicit ElfFile(const std::string& path);
  explicit ElfFile(std::shared_ptr<const ReadableFile> file);

  const std::string& path() const { return file_->path(); }
  std::uint64_t size() const { return file_->size(); }
  const std::shared_ptr<const ReadableFile>& file() const { return file_; }
  std::uint16_t type() const { return header_.e_type; }
  std::uint16_t machine() const { return header_.e_machine; }
  const Elf64_Ehdr& header() const { return header_; }
  const std::vector<Elf64_Phdr>& segments() const { return segments_; }
  const std::vector<DynamicEntry>& dynamic() const { return dynamic_; }  // without the final DT_NULL; empty if static

  std::optional<DynamicEntry> entry(std::int64_t tag) const;
  std::vector<std::string> strings(std::int64_t tag) const;   // of every entry with that tag, in order
  std::optional<std::string> string(std::int64_t tag) const;  // of the first
  std::optional<std::string> interpreter() const;
  std::vector<NeededVersion> needed_versions() const;
  std::vector<ElfNote> notes() const;  // without segments of over 1 MiB and what follows a broken note; 8 MiB in all
  int x86_level() const;               // 1–4, from GNU_PROPERTY_X86_ISA_1_NEEDED; 1 if the file does not say

  // Low level, for the editor. All throw Error{kCannotPack} when a range leaves the file.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  template <typename T>
  T read_as(std::uint64_t offset) const {
    T value;
    read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::uint64_t offset_of(std::uint64_t address, std::uint64_t length) const;  // in one PT_LOAD's file bytes
  std::uint64_t string_table_offset() const { return strings_offset_; }
  std::uint64_t string_table_size() const { return strings_size_; }
  std::string string_at(std::uint64_t index) const;
  [[noreturn]] void refuse(const std::string& why) const;

 private:
  void read_dynamic();

  std::shared_ptr<const ReadableFile> file_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
  std::vector<DynamicEntry> dynamic_;
  std::uint64_t strings_offset_ = 0, strings_size_ = 0;
};

// Does the file begin with ELF's magic bytes? By its path, false for what cannot be read; else throws as the file does.
bool has_elf_magic(const std::string& path) noexcept;
bool is_elf(const ReadableFile& file);

// What the closure and the requirements want to know of a file.
struct ElfInfo {
  std::uint16_t machine = 0;
  bool dynamic = false;
  std::vector<std::string> needed;
  std::optional<std::string> soname, rpath, runpath, interpreter;
  std::vector<NeededVersion> needed_versions;
  int x86_level = 1;
};
ElfInfo describe(const ElfFile& file);

}  // namespace holdall::packer
