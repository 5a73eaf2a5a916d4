#include "bundle/tar_header.h"

#include <cstdio>
#include <cstring>

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::optional<TarHeader> parse(const std::string& blocks) {
  std::size_t at = 0;
  auto header = read_tar_header([&](std::span<std::byte> block) {
    if (blocks.size() - at < block.size()) throw Error(ErrorKind::kBadBundle, "truncated");
    std::memcpy(block.data(), blocks.data() + at, block.size());
    at += block.size();
  });
  EXPECT_EQ(at, blocks.size());
  return header;
}

std::string refusal(const std::string& blocks) {
  return error_of(ErrorKind::kBadBundle, [&] { parse(blocks); });
}

// `text` at `offset` of the last block, whose checksum is right again.
std::string changed(std::string blocks, std::size_t offset, const std::string& text) {
  const std::size_t block = blocks.size() - 512;
  blocks.replace(block + offset, text.size(), text);
  blocks.replace(block + 148, 8, "        ");
  unsigned sum = 0;
  for (std::size_t i = block; i < blocks.size(); ++i) sum += static_cast<unsigned char>(blocks[i]);
  char field[8];
  std::snprintf(field, sizeof field, "%06o", sum);
  return blocks.replace(block + 148, 8, std::string(field, 7) + ' ');
}

// A member whose extended header holds `records`.
std::string with_pax(const std::string& records) {
  std::string pax = make_tar_header(entry_of({"PaxHeader/x", EntryType::kRegular, records}), 0);
  pax = changed(pax, 156, "x");
  pax += records + std::string(tar_padding(records.size()), '\0');
  return pax + make_tar_header(entry_of({"name", EntryType::kRegular, "12345"}), 0);
}

TEST(TarHeader, ReadsWhatLibarchiveWrites) {
  const std::string name(250, 'n');
  for (const Member& member : std::vector<Member>{{"a", EntryType::kRegular, "x"},
                                                  {"a/b", EntryType::kRegular, "", true},
                                                  {"d", EntryType::kDirectory, {}},
                                                  {name, EntryType::kDirectory, {}},
                                                  {name + "/" + name + "/" + name, EntryType::kRegular, "x"},
                                                  {"l", EntryType::kSymlink, "../" + name},
                                                  {"\xC3\xA9", EntryType::kSymlink, "e\xCC\x81"},
                                                  {"line\nbreak = 5", EntryType::kRegular, "x"}}) {
    const Entry entry = entry_of(member);
    const auto header = parse(make_tar_header(entry, 0));
    ASSERT_TRUE(header);
    EXPECT_EQ(tar_header_fault(*header, entry), "") << member.path;
  }
}

TEST(TarHeader, KeepsSizesOver8GiB) {
  for (const std::uint64_t size :
       {(std::uint64_t{1} << 33) - 1, std::uint64_t{1} << 33, (std::uint64_t{1} << 50) - 1}) {
    Entry entry = entry_of({"big", EntryType::kRegular, {}});
    entry.size = size;
    EXPECT_EQ(parse(make_tar_header(entry, 0))->size, size);
  }
}

TEST(TarHeader, AZeroBlockIsTheEnd) {
  EXPECT_FALSE(parse(std::string(512, '\0')));
}

TEST(TarHeader, RefusesWhatTwoReadersCouldUnderstandDifferently) {
  EXPECT_THAT(refusal(with_pax("9 size=6\n")), HasSubstr("different sizes"));
  EXPECT_THAT(refusal(with_pax("10 path=a\n10 path=b\n")), HasSubstr("given twice"));
  EXPECT_THAT(refusal(with_pax("8 path=a\n")), HasSubstr("malformed"));    // wrong length
  EXPECT_THAT(refusal(with_pax("010 path=a\n")), HasSubstr("malformed"));  // leading zero
  EXPECT_THAT(refusal(with_pax("99999999999 path=a\n")), HasSubstr("malformed"));
  EXPECT_THAT(refusal(with_pax(std::string("12 path=a\0b\n", 12))), HasSubstr("NUL"));
  EXPECT_EQ(parse(with_pax("9 size=5\n"))->size, 5u);
  EXPECT_EQ(parse(with_pax("10 path=a\n"))->path, "a");
}

TEST(TarHeader, RefusesKeysOutsideTheProfile) {
  for (const char* record : {"17 uname=intruder\n", "24 SCHILY.xattr.user.a=b\n", "23 GNU.sparse.major=1\n",
                             "30 SCHILY.acl.access=user::rwx\n", "22 hdrcharset=BINARY\n"}) {
    const std::string length = std::to_string(std::strlen(record));
    const std::string right = length + std::string(record).substr(2);
    EXPECT_THAT(refusal(with_pax(right)), HasSubstr("unknown PAX key")) << record;
  }
}

TEST(TarHeader, RefusesTypesOwnersAndModesOutsideTheProfile) {
  const std::string file = make_tar_header(entry_of({"f", EntryType::kRegular, "x"}), 0);
  ASSERT_TRUE(parse(changed(file, 100, "000755 ")));
  for (const char* type : {"1", "3", "4", "6", "7", "g", "L", "K", "S", "D", "V"}) {
    EXPECT_THAT(refusal(changed(file, 156, type)), HasSubstr("bad tar header")) << type;
  }
  EXPECT_THAT(refusal(changed(file, 100, "004755 ")), HasSubstr("mode"));
  EXPECT_THAT(refusal(changed(file, 100, "000777 ")), HasSubstr("mode"));
  EXPECT_THAT(refusal(changed(file, 108, "001750 ")), HasSubstr("owner"));
  EXPECT_THAT(refusal(changed(file, 265, "root")), HasSubstr("owner"));
  EXPECT_THAT(refusal(changed(file, 157, "target")), HasSubstr("a link target without a link"));
  EXPECT_THAT(refusal(changed(file, 257, "ustar  ")), HasSubstr("not ustar"));
  EXPECT_THAT(refusal(changed(file, 2, "hidden")), HasSubstr("behind a name's end"));
  EXPECT_THAT(refusal(changed(file, 124, "99999999999 ")), HasSubstr("not a number"));
  EXPECT_THAT(refusal(changed(file, 124, "\x80\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")), HasSubstr("too large"));
  std::string wrong = file;
  wrong[0] = 'g';
  EXPECT_THAT(refusal(wrong), HasSubstr("checksum differs"));
}

TEST(TarHeader, RefusesAnExtendedHeaderThatIsTooLarge) {
  std::string pax = changed(make_tar_header(entry_of({"p", EntryType::kRegular, {}}), 0), 156, "x");
  EXPECT_THAT(refusal(changed(pax, 124, "77777777777 ")), HasSubstr("a PAX header of 8589934591 bytes"));
}

}  // namespace
}  // namespace holdall::bundle
