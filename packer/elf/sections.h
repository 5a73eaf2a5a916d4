// The section headers of a file, if it has any, and the symbols that stand for sections. The loader ignores them;
// debuggers, strip and readelf do not, so they follow what moves.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "packer/elf/patch_list.h"
#include "packer/elf_file.h"

namespace holdall::packer {

struct Place {
  std::uint64_t offset = 0, address = 0, size = 0;
};

class SectionTable {
 public:
  // Throws Error{kCannotPack} if the table leaves the file.
  explicit SectionTable(const ElfFile& file);

  // The section of that type that holds exactly what the loader finds at `address`; nullopt if there is none.
  std::optional<std::size_t> find(std::uint32_t type, std::uint64_t address) const;

  // The section now stands at `place`.
  void move(std::size_t index, const Place& place);

  // What moving changed in the headers and in the values of symbols: those of type STT_SECTION, and `_DYNAMIC`.
  void plan(PatchList& patches) const;

 private:
  void plan_symbols(const Elf64_Shdr& table, PatchList& patches) const;
  std::uint64_t moved_value(const Elf64_Sym& symbol, const Elf64_Shdr& names) const;
  bool is_called_dynamic(std::uint64_t name, const Elf64_Shdr& names) const;

  const ElfFile& file_;
  std::vector<Elf64_Shdr> original_, sections_;
  std::vector<std::size_t> moved_;
};

}  // namespace holdall::packer
