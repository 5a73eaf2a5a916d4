// What an ELF file's notes say of where it comes from.
#pragma once

#include <optional>
#include <string>

#include "packer/elf_file.h"
#include "packer/sbom/component.h"

namespace holdall::packer {

// The linker's build id, as hex digits; empty: it has none. Debuggers and crash reports name files by it.
std::string build_id(const ElfFile& file);

// The package that .note.package names (systemd.io/ELF_PACKAGE_METADATA), as distributions and builds put it there.
// nullopt: there is no such note, or it is no JSON with a name.
std::optional<SbomComponent> noted_package(const ElfFile& file);

}  // namespace holdall::packer
