#include "packer/fatbin.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <vector>

namespace holdall::packer {
namespace {

// fatbinary_section.h of the CUDA toolkit has the containers' header; the entries' were read off files of CUDA 11 to 13
// and compared with what cuobjdump lists.
constexpr std::uint32_t kMagic = 0xba55ed50;
constexpr std::uint16_t kVersion = 1;
constexpr std::uint64_t kAlignment = 8;         // of containers
constexpr std::uint64_t kContainerHeader = 16;  // magic, u16 version, u16 header size, u64 size of the entries
constexpr std::uint64_t kEntryHeader = 64;      // at least; up to 144 with names and options
constexpr std::uint64_t kMaxEntryHeader = 1 << 20;
constexpr std::uint16_t kPtx = 1, kElf = 2;  // others: LTO's intermediate code and more, not for the driver
constexpr std::uint64_t kZstd = 0x8000, kThisGpuOnly = 0x100000, kFamily = 0x200000;
constexpr std::uint64_t kMaxEntries = 1 << 17;  // cuBLASLt 13.1 has 5,737

// A sliding look at the section, so that neither headers nor gaps cost a read each.
class Window {
 public:
  Window(std::uint64_t size, const ReadSection& read) : size_(size), read_(read), bytes_(4096) {}

  template <typename T>
  T at(std::uint64_t offset) {  // offset + sizeof(T) <= size
    if (offset < start_ || offset + sizeof(T) > start_ + held_) {
      start_ = offset;
      held_ = std::min<std::uint64_t>(bytes_.size(), size_ - offset);
      read_(offset, std::span(bytes_).first(held_));
    }
    T value;
    std::memcpy(&value, bytes_.data() + (offset - start_), sizeof value);
    return value;
  }

 private:
  std::uint64_t size_;
  const ReadSection& read_;
  std::vector<std::byte> bytes_;
  std::uint64_t start_ = 0, held_ = 0;
};

class Parser {
 public:
  Parser(std::uint64_t size, const ReadSection& read) : size_(size), window_(size, read) {}

  Kernels run() {
    for (std::uint64_t at = 0; at + kContainerHeader <= size_ && kernels_.fault.empty();) {
      at = window_.at<std::uint32_t>(at) == kMagic ? container(at) : at + kAlignment;
    }
    return std::move(kernels_);
  }

 private:
  std::uint64_t container(std::uint64_t at) {
    const auto version = window_.at<std::uint16_t>(at + 4);
    const auto header = window_.at<std::uint16_t>(at + 6);
    const auto length = window_.at<std::uint64_t>(at + 8);
    if (version != kVersion) return fail(at, "has the unknown version " + std::to_string(version));
    if (header < kContainerHeader || header > size_ - at || length > size_ - at - header) {
      return fail(at, "is longer than its section");
    }
    const std::uint64_t end = at + header + length;
    std::set<std::string> targets;  // of this one
    for (std::uint64_t entry = at + header; entry < end;) {
      if (end - entry < kEntryHeader) return fail(entry, "ends within an entry");
      const auto entry_header = window_.at<std::uint32_t>(entry + 4);
      const auto payload = window_.at<std::uint64_t>(entry + 8);
      if (entry_header < kEntryHeader || entry_header > kMaxEntryHeader || entry_header > end - entry ||
          payload > end - entry - entry_header) {
        return fail(entry, "has an entry of an impossible size");
      }
      if (++entries_ > kMaxEntries) return fail(entry, "is one of too many");
      add(entry, entry_header + payload, targets);
      entry += entry_header + payload;
    }
    if (!targets.empty()) ++kernels_.fatbins;
    return std::max(end, at + kAlignment);
  }

  void add(std::uint64_t entry, std::uint64_t bytes, std::set<std::string>& targets) {
    const auto kind = window_.at<std::uint16_t>(entry);
    if (kind != kPtx && kind != kElf) return;
    const auto flags = window_.at<std::uint64_t>(entry + 40);
    std::string target = std::to_string(window_.at<std::uint32_t>(entry + 28));
    if ((flags & kThisGpuOnly) != 0) {
      target += 'a';
    } else if ((flags & kFamily) != 0) {
      target += 'f';
    }
    if (kind == kPtx) {
      target += "@" + std::to_string(window_.at<std::uint16_t>(entry + 26)) + "." +
                std::to_string(window_.at<std::uint16_t>(entry + 24));
    }
    Kernels::Amount& amount = (kind == kPtx ? kernels_.ptx : kernels_.cubin)[target];
    if (targets.insert(target).second) ++amount.fatbins;
    amount.bytes += bytes;
    if ((flags & kZstd) != 0) kernels_.zstd = true;
  }

  std::uint64_t fail(std::uint64_t at, const std::string& why) {
    kernels_.fault = "the fat binary at offset " + std::to_string(at) + " of .nv_fatbin " + why;
    return size_;
  }

  std::uint64_t size_;
  Window window_;
  Kernels kernels_;
  std::uint64_t entries_ = 0;
};

void merge(Kernels& all, Kernels more) {
  for (const auto& [target, amount] : more.cubin) {
    all.cubin[target].fatbins += amount.fatbins;
    all.cubin[target].bytes += amount.bytes;
  }
  for (const auto& [target, amount] : more.ptx) {
    all.ptx[target].fatbins += amount.fatbins;
    all.ptx[target].bytes += amount.bytes;
  }
  all.fatbins += more.fatbins;
  all.zstd = all.zstd || more.zstd;
  if (all.fault.empty()) all.fault = std::move(more.fault);
}

}  // namespace

Kernels parse_fatbins(std::uint64_t size, const ReadSection& read) {
  return Parser(size, read).run();
}

namespace {

void read_kernels(const ElfFile& file, Kernels& kernels) {
  const Elf64_Ehdr& header = file.header();
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum) {
    return;
  }
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  file.read(header.e_shoff, std::as_writable_bytes(std::span(sections)));
  const Elf64_Shdr& names = sections[header.e_shstrndx];
  static constexpr std::string_view kName(".nv_fatbin\0", 11);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_PROGBITS || section.sh_name > names.sh_size ||
        names.sh_size - section.sh_name < kName.size()) {
      continue;
    }
    std::string name(kName.size(), '\0');
    file.read(names.sh_offset + section.sh_name, std::as_writable_bytes(std::span(name)));
    if (name != kName) continue;
    if (section.sh_offset > file.size() || section.sh_size > file.size() - section.sh_offset) {
      file.refuse("its section .nv_fatbin lies outside the file");
    }
    merge(kernels, parse_fatbins(section.sh_size, [&](std::uint64_t offset, std::span<std::byte> out) {
            file.read(section.sh_offset + offset, out);
          }));
  }
}

}  // namespace

Kernels kernels_of(const ElfFile& file) {
  Kernels kernels;
  try {
    read_kernels(file, kernels);
  } catch (const bundle::Error& error) {
    if (error.kind() != bundle::ErrorKind::kCannotPack) throw;
    kernels.fault = error.what();
  }
  return kernels;
}

}  // namespace holdall::packer
