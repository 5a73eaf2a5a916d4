#include "packer/fatbin.h"

#include <cstring>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

std::string fixture(const std::string& name) {
  return read_file(HOLDALL_TEST_DATA "/fatbin/" + name);
}

Kernels parse(const std::string& bytes) {
  return parse_fatbins(bytes.size(), [&](std::uint64_t offset, std::span<std::byte> out) {
    ASSERT_LE(offset, bytes.size());
    ASSERT_LE(out.size(), bytes.size() - offset);
    std::memcpy(out.data(), bytes.data() + offset, out.size());
  });
}

std::vector<std::string> keys(const std::map<std::string, Kernels::Amount>& targets) {
  std::vector<std::string> names;
  for (const auto& [target, amount] : targets) names.push_back(target);
  return names;
}

using Names = std::vector<std::string>;

TEST(Fatbin, TellsTargetsOfMachineCodeAndPtx) {
  const Kernels kernels = parse(fixture("zstd.fatbin"));
  EXPECT_EQ(kernels.fault, "");
  EXPECT_EQ(keys(kernels.cubin), (Names{"100f", "75", "80", "90a"}));
  EXPECT_EQ(keys(kernels.ptx), (Names{"90@9.0"}));
  EXPECT_EQ(kernels.fatbins, 1U);
  EXPECT_GT(kernels.cubin.at("80").bytes, 100U);
}

TEST(Fatbin, TellsZstdFromOtherCompression) {
  EXPECT_TRUE(parse(fixture("zstd.fatbin")).zstd);
  EXPECT_FALSE(parse(fixture("lz4.fatbin")).zstd);
  EXPECT_FALSE(parse(fixture("plain.fatbin")).zstd);
}

TEST(Fatbin, KnowsPtxOnlyAndLeavesOutWhatTheDriverDoesNotTake) {
  const Kernels ptx_only = parse(fixture("ptx_only.fatbin"));
  EXPECT_TRUE(ptx_only.cubin.empty());
  EXPECT_EQ(keys(ptx_only.ptx), (Names{"80@9.0"}));
  const Kernels lto = parse(fixture("lto.fatbin"));  // intermediate code for a linker
  EXPECT_TRUE(lto.cubin.empty() && lto.ptx.empty());
  EXPECT_EQ(lto.fatbins, 0U);
  EXPECT_EQ(lto.fault, "");
}

TEST(Fatbin, FindsContainersBehindGaps) {
  const Kernels kernels = parse(std::string(8, '\0') + fixture("plain.fatbin") + std::string(9000, '\0') +
                                fixture("ptx_only.fatbin") + std::string(5, '\0'));
  EXPECT_EQ(kernels.fault, "");
  EXPECT_EQ(kernels.fatbins, 2U);
  EXPECT_EQ(keys(kernels.ptx), (Names{"80@9.0", "90@9.0"}));
  EXPECT_EQ(kernels.ptx.at("80@9.0").fatbins, 1U);
}

TEST(Fatbin, SaysWhereATruncatedOneBreaks) {
  const std::string whole = fixture("zstd.fatbin");
  for (std::size_t size = 0; size < whole.size(); size += 8) {
    const Kernels kernels = parse(whole.substr(0, size));
    EXPECT_EQ(kernels.fault.empty(), size < 16) << size;  // without a header nothing says that there is one
  }
  EXPECT_NE(parse(whole.substr(0, 600)).fault.find("offset 0 "), std::string::npos);
}

TEST(Fatbin, RefusesImpossibleSizesAndUnknownVersions) {
  const auto with = [](std::size_t offset, std::uint64_t value, std::size_t size) {
    std::string bytes = fixture("plain.fatbin");
    std::memcpy(bytes.data() + offset, &value, size);
    return parse(bytes).fault;
  };
  EXPECT_NE(with(4, 2, 2).find("unknown version 2"), std::string::npos);
  EXPECT_NE(with(6, 3, 2).find("longer than its section"), std::string::npos);
  EXPECT_NE(with(8, ~0ULL, 8).find("longer than its section"), std::string::npos);
  EXPECT_NE(with(16 + 4, 0, 4).find("impossible size"), std::string::npos);
  EXPECT_NE(with(16 + 4, 0xffffffff, 4).find("impossible size"), std::string::npos);
  EXPECT_NE(with(16 + 8, ~0ULL - 8, 8).find("impossible size"), std::string::npos);
  EXPECT_EQ(with(16 + 56, ~0ULL, 8), "");  // the uncompressed size is nobody's business
}

std::string section(const std::string& name, const std::string& file) {
  return "__asm__(\".section " + name + ",\\\"a\\\"\\n.balign 8\\n.incbin \\\"" HOLDALL_TEST_DATA "/fatbin/" + file +
         "\\\"\\n.previous\");\n";
}

TEST(Fatbin, IsReadFromTheSectionThatTheDriverIsGiven) {
  const TemporaryFolder folder;
  const auto library =
      folder.compile("libk.so", section(".nv_fatbin", "plain.fatbin") + section("__nv_relfatbin", "zstd.fatbin"),
                     "-shared -fPIC -nostdlib");
  const Kernels kernels = kernels_of(ElfFile(library));
  EXPECT_EQ(keys(kernels.cubin), (Names{"80"}));
  EXPECT_FALSE(kernels.zstd);
  EXPECT_EQ(kernels_of(ElfFile(folder.library("libplain.so"))).fatbins, 0U);
}

TEST(Fatbin, OfAFileWithoutSectionHeadersIsNotFound) {
  const TemporaryFolder folder;
  const auto library = folder.compile("libk.so", section(".nv_fatbin", "plain.fatbin"), "-shared -fPIC -nostdlib");
  std::string bytes = read_file(library);
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.e_shoff = 0;
  header.e_shnum = header.e_shstrndx = 0;
  std::memcpy(bytes.data(), &header, sizeof header);
  EXPECT_EQ(kernels_of(ElfFile(folder.write("stripped.so", bytes))).fatbins, 0U);
}

TEST(Fatbin, SaysThatASectionLiesOutsideTheFile) {
  const TemporaryFolder folder;
  const auto library = folder.compile("libk.so", section(".nv_fatbin", "plain.fatbin"), "-shared -fPIC -nostdlib");
  std::string bytes = read_file(library);
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  unsigned changed = 0;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr place;
    char* const at = bytes.data() + header.e_shoff + i * sizeof place;
    std::memcpy(&place, at, sizeof place);
    if (place.sh_size != read_file(HOLDALL_TEST_DATA "/fatbin/plain.fatbin").size()) continue;
    place.sh_size = 1ULL << 40;
    std::memcpy(at, &place, sizeof place);
    ++changed;
  }
  ASSERT_EQ(changed, 1U);
  const std::string fault = kernels_of(ElfFile(folder.write("broken.so", bytes))).fault;
  EXPECT_NE(fault.find("outside the file"), fault.npos) << fault;
}

}  // namespace
}  // namespace holdall::packer
