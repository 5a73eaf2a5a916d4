// What the doctor reads from a host's ELF file: for which machine it is, and which symbol versions it asks for and
// gives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/doctor/version.h"

namespace holdall::launcher {

struct ElfFacts {
  int bits = 0;                                // 32 or 64; 0: neither
  std::uint16_t machine = 0;                   // e_machine
  std::vector<std::string> needed_versions;    // "GLIBC_2.34" of every library, from .gnu.version_r
  std::vector<std::string> provided_versions;  // from .gnu.version_d
  std::string forward_compatibility;           // what NVIDIA's note says, JSON; empty: there is none
};

// nullopt: not an ELF file. Untrusted bytes: what is out of range is left out. The versions of 64-bit little-endian
// files only.
std::optional<ElfFacts> read_elf(int fd);

// "x86_64", "aarch64", … as uname(1) says it; "machine <n>" for others.
std::string machine_name(std::uint16_t machine);

// The newest of the versions "<prefix><number>", e.g. 2.36 for prefix "GLIBC_"; names such as GLIBC_PRIVATE do not
// count.
std::optional<std::string> newest(const std::vector<std::string>& versions, std::string_view prefix);

}  // namespace holdall::launcher
