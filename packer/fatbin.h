// Fat binaries: where an ELF file keeps its kernels for NVIDIA GPUs. Only headers are read: for which GPUs machine code
// (cubin) and PTX are there, and how they are compressed, stands there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "packer/elf_file.h"

namespace holdall::packer {

// What all fat binaries of a file carry.
struct Kernels {
  struct Amount {
    std::uint64_t fatbins = 0;  // that have it
    std::uint64_t bytes = 0;    // as stored
  };
  std::map<std::string, Amount> cubin;  // "75"; "90a" for that GPU only, "100f" for its family
  std::map<std::string, Amount> ptx;    // "<sm>@<PTX ISA>", e.g. "90@9.0"
  std::uint64_t fatbins = 0;            // with a cubin or PTX
  bool zstd = false;                    // some are compressed as only drivers from 550 on understand
  std::string fault;                    // why the rest could not be read; empty: all was
};

// Fills `out` from `offset` of the section; is never asked for bytes behind its end.
using ReadSection = std::function<void(std::uint64_t offset, std::span<std::byte> out)>;

// The contents of a .nv_fatbin section of `size` bytes. Untrusted: a fault ends the reading and is told.
Kernels parse_fatbins(std::uint64_t size, const ReadSection& read);

// Of the section that the driver is given, .nv_fatbin. __nv_relfatbin, which separate compilation leaves behind, holds
// the linker's input: no driver sees it (cuobjdump leaves it out, too). Without section headers nothing is found; where
// they lead out of the file, that is the fault that is told: the loader does not need them.
Kernels kernels_of(const ElfFile& file);

}  // namespace holdall::packer
