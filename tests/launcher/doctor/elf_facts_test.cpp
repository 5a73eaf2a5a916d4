#include "launcher/doctor/elf_facts.h"

#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "captured_host.h"
#include "launcher/host.h"

namespace holdall::launcher {
namespace {

using ::testing::Contains;

std::optional<ElfFacts> facts_of(const std::string& path) {
  const bundle::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return read_elf(file.get());
}

TEST(Elf, ReadsTheVersionsThatALibraryProvides) {
  const auto elf = facts_of(STAND_IN_LIBC_VERSIONS);
  ASSERT_TRUE(elf);
  EXPECT_EQ(elf->bits, 64);
  EXPECT_THAT(elf->provided_versions, Contains("GLIBC_PRIVATE"));
  EXPECT_EQ(newest(elf->provided_versions, "GLIBC_"), "2.31");  // not 2.9, which is later as text
}

TEST(Elf, ReadsTheVersionsThatALibraryNeeds) {
  const auto elf = facts_of(STAND_IN_LIBCUDA_WORKS);
  ASSERT_TRUE(elf);
  EXPECT_TRUE(newest(elf->needed_versions, "GLIBC_"));
  EXPECT_FALSE(newest(elf->needed_versions, "GLIBCXX_"));
}

TEST(Elf, SurvivesEveryTruncationAndFlippedByteOfTheHeaders) {
  std::ifstream file(STAND_IN_LIBC_VERSIONS, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(whole.size(), 4096u);
  test::CapturedHost host;
  const auto read = [&](const std::string& bytes) {
    host.write("/lib.so", bytes);
    return facts_of(host.path("/lib.so"));
  };
  for (std::size_t size = 0; size < 1024; size += 7) {
    const auto elf = read(whole.substr(0, size));
    EXPECT_EQ(elf.has_value(), size >= 20) << size;
  }
  std::size_t readable = 0;
  for (std::size_t at = 4; at < 1024; at += 3) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
    readable += read(bytes).has_value();
  }
  EXPECT_GT(readable, 300u);
}

// 2000 libraries that share one list of 2000 versions, each with a name of a megabyte: terabytes, if all were kept.
TEST(Elf, KeepsFewAndShortVersionsOfAHostileFile) {
  constexpr std::size_t kRecords = 2000, kName = 1 << 20;
  std::string bytes;
  const auto append = [&bytes](const auto& record) {
    bytes.append(reinterpret_cast<const char*>(&record), sizeof record);
  };
  const std::size_t dynamic_at = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr), dynamic_size = 4 * sizeof(Elf64_Dyn);
  const std::size_t needs_at = dynamic_at + dynamic_size;
  const std::size_t versions_at = needs_at + kRecords * sizeof(Elf64_Verneed);
  const std::size_t names_at = versions_at + kRecords * sizeof(Elf64_Vernaux);
  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  append(header);
  const std::uint64_t size = names_at + kName + 1;
  append(Elf64_Phdr{.p_type = PT_LOAD,
                    .p_flags = PF_R,
                    .p_offset = 0,
                    .p_vaddr = 0,
                    .p_paddr = 0,
                    .p_filesz = size,
                    .p_memsz = size,
                    .p_align = 1});
  append(Elf64_Phdr{.p_type = PT_DYNAMIC,
                    .p_flags = PF_R,
                    .p_offset = dynamic_at,
                    .p_vaddr = dynamic_at,
                    .p_paddr = dynamic_at,
                    .p_filesz = dynamic_size,
                    .p_memsz = dynamic_size,
                    .p_align = 1});
  append(Elf64_Dyn{DT_STRTAB, {names_at}});
  append(Elf64_Dyn{DT_STRSZ, {kName + 1}});
  append(Elf64_Dyn{DT_VERNEED, {needs_at}});
  append(Elf64_Dyn{DT_NULL, {0}});
  for (std::size_t i = 0; i < kRecords; ++i) {
    const auto to_versions = static_cast<Elf64_Word>(versions_at - needs_at - i * sizeof(Elf64_Verneed));
    append(Elf64_Verneed{1, kRecords, 0, to_versions, sizeof(Elf64_Verneed)});
  }
  for (std::size_t i = 0; i < kRecords; ++i) append(Elf64_Vernaux{0, 0, 0, 0, sizeof(Elf64_Vernaux)});
  bytes += std::string(kName, 'A') + '\0';

  test::CapturedHost host;
  host.write("/lib.so", bytes);
  const auto elf = facts_of(host.path("/lib.so"));
  ASSERT_TRUE(elf);
  ASSERT_FALSE(elf->needed_versions.empty());
  EXPECT_LE(elf->needed_versions.size(), 4096u);
  for (const std::string& version : elf->needed_versions) EXPECT_LE(version.size(), 256u);
}

TEST(Elf, RefusesOtherFiles) {
  test::CapturedHost host;
  host.write("/script", "#!/bin/sh\necho this is no ELF file\n");
  EXPECT_FALSE(facts_of(host.path("/script")));
}

}  // namespace
}  // namespace holdall::launcher
