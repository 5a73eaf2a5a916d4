#include "launcher/doctor/elf_facts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "captured_host.h"
#include "launcher/host.h"

namespace holdall::launcher {
namespace {

using ::testing::Contains;

std::optional<ElfFacts> facts_of(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
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

TEST(Elf, RefusesOtherFiles) {
  test::CapturedHost host;
  host.write("/script", "#!/bin/sh\necho this is no ELF file\n");
  EXPECT_FALSE(facts_of(host.path("/script")));
}

}  // namespace
}  // namespace holdall::launcher
