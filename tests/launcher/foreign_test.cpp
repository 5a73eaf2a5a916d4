// What is read of archives that are not ours. Whole archives: cli.foreign, cli.foreign_conda_pack, cli.foreign_attacks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "bundle/error.h"
#include "launcher/foreign/conda_unpack.h"
#include "launcher/foreign/stale_bytecode.h"
#include "launcher/foreign/written_prefix.h"

namespace holdall::launcher {
namespace {

std::string script(const std::string& records) {
  return "#!/usr/bin/env python\nimport os\n\n_prefix_records = [\n" + records + "\n]\n\ndef main():\n  pass\n";
}

TEST(CondaUnpack, ReadsItsListAsPythonWroteIt) {
  const auto records =
      parse_conda_unpack(script("('lib/a.so', '/old/p', 'binary'),\n(\"it's\", '/old/p', 'text'),\n"
                                "('caf\\xe9/\\u4e2d/\\U0001f600', '/a\\\\b', 'text')"));
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].path, "lib/a.so");
  EXPECT_EQ(records[0].placeholder, "/old/p");
  EXPECT_TRUE(records[0].binary);
  EXPECT_EQ(records[1].path, "it's");
  EXPECT_FALSE(records[1].binary);
  EXPECT_EQ(records[2].path, "caf\u00e9/\u4e2d/\U0001f600");
  EXPECT_EQ(records[2].placeholder, "/a\\b");
}

TEST(CondaUnpack, HasNoRecordsWithoutTheList) {
  EXPECT_THAT(parse_conda_unpack("#!/bin/sh\nexec holdall relocate\n"), testing::IsEmpty());
  EXPECT_THAT(parse_conda_unpack(script("")), testing::IsEmpty());
}

TEST(CondaUnpack, RefusesWhatIsNoListOfStrings) {
  for (const char* const records :
       {"os.system('x')", "('a', '/p')", "('a', '/p', 'text'", "('a', '/p', 'other')", "('a', '', 'text')",
        "('a\n', '/p', 'text')", "('\\ud800', '/p', 'text')", "('\\q', '/p', 'text')", "('a', '/p', 'text') ('b',"})
    EXPECT_THROW(parse_conda_unpack(script(records)), bundle::Error) << records;
  EXPECT_THROW(parse_conda_unpack("\n_prefix_records = ["), bundle::Error);
}

TEST(WrittenPrefix, LeavesTextAsCondaUnpackWouldMakeIt) {
  const PackedContents packed = take_prefix_out("a=/old/p/bin:/old/p-2\n", {"f", "/old/p", false});
  ASSERT_EQ(packed.relocations.size(), 2u);
  EXPECT_EQ(bundle::relocate(packed.bytes, packed.relocations, "/new"), "a=/new/bin:/new-2\n");
}

TEST(WrittenPrefix, ShortensStringsOfBinaries) {
  using namespace std::string_literals;
  const std::string before = "\x7f/old/place/lib:/old/place/x\0tail /old/place"s;  // the last has no NUL behind it
  const PackedContents packed = take_prefix_out(before, {"f", "/old/place", true});
  ASSERT_EQ(packed.relocations.size(), 2u);
  bundle::check_relocations(packed.relocations, packed.bytes.size());
  EXPECT_EQ(bundle::relocate(packed.bytes, packed.relocations, "/new"),
            "\x7f/new/lib:/new/x"s + std::string(12, '\0') + "\0tail /old/place"s);
}

TEST(WrittenPrefix, HasNoRecordsWhereThePrefixIsNot) {
  for (const bool binary : {false, true}) {
    const PackedContents packed = take_prefix_out("nothing", {"f", "/old", binary});
    EXPECT_EQ(packed.bytes, "nothing");
    EXPECT_THAT(packed.relocations, testing::IsEmpty());
  }
}

TEST(Bytecode, KnowsItsSource) {
  EXPECT_EQ(source_of_bytecode("lib/m/__pycache__/a.cpython-311.pyc"), "lib/m/a.py");
  EXPECT_EQ(source_of_bytecode("__pycache__/a.cpython-311.opt-1.pyc"), "a.py");
  EXPECT_EQ(source_of_bytecode("lib/m/a.pyc"), std::nullopt);
  EXPECT_EQ(source_of_bytecode("lib/my__pycache__/a.pyc"), std::nullopt);
}

TEST(Bytecode, GetsTheNewTimeOnlyIfItWasUpToDate) {
  std::array<std::byte, kBytecodeHeader> header{};
  header[8] = std::byte{7};
  auto copy = header;
  renew_bytecode(copy, 7, 0x01020304);
  EXPECT_EQ(copy[8], std::byte{4});
  EXPECT_EQ(copy[11], std::byte{1});
  copy = header;
  renew_bytecode(copy, 8, 0x01020304);
  EXPECT_EQ(copy, header) << "stale before, stale now";
  copy = header;
  renew_bytecode(copy, 6, 0x01020304, 2);
  EXPECT_EQ(copy[8], std::byte{4}) << "as zip rounds it";
  copy = header;
  renew_bytecode(copy, 7, 0x01020304, 2);
  EXPECT_EQ(copy[8], std::byte{4}) << "an exact time in a zip";
  copy = header;
  renew_bytecode(copy, 8, 0x01020304, 2);
  EXPECT_EQ(copy, header) << "stale before, stale now";
  header[4] = std::byte{1};
  copy = header;
  renew_bytecode(copy, 7, 0x01020304);
  EXPECT_EQ(copy, header) << "valid by a hash, not by a time";
}

}  // namespace
}  // namespace holdall::launcher
