#include "bundle/relocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "bundle/error.h"

namespace holdall::bundle {
namespace {

using ::testing::HasSubstr;

const std::string kHeld(kPlaceholder);
const auto kHeldSize = static_cast<std::uint32_t>(kPlaceholder.size());

Relocation text_record(std::uint64_t offset) {
  return {RelocationKind::kText, offset, kHeldSize, 0};
}

Relocation binary_record(std::uint64_t offset, std::uint32_t capacity) {
  return {RelocationKind::kBinary, offset, kHeldSize, capacity};
}

ErrorKind kind_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::kInternal;
}

TEST(Relocation, ReplacesEveryTextRecordAndChangesTheLength) {
  const std::string packed = "a=" + kHeld + "/x\nb=" + kHeld + "\n";
  const std::vector<Relocation> records{text_record(2), text_record(2 + kHeldSize + 5)};
  EXPECT_EQ(relocate(packed, records, "/srv/app"), "a=/srv/app/x\nb=/srv/app\n");
}

TEST(Relocation, UndoesTextForShorterAndLongerPrefixes) {
  const std::string packed = kHeld + ":" + kHeld + "/lib\n";
  const std::vector<Relocation> records{text_record(0), text_record(kHeldSize + 1)};
  for (const std::string prefix : {"/a", "/a/much/longer/prefix/than/the/placeholder/is"}) {
    EXPECT_EQ(unrelocate(relocate(packed, records, prefix), records, prefix), packed);
  }
}

TEST(Relocation, PadsABinaryStringAndKeepsTheLength) {
  const std::string packed = "xx" + kHeld + "/lib" + std::string(1, '\0') + "yy";
  const auto installed = relocate(packed, {binary_record(2, kHeldSize + 4)}, "/opt/a");
  EXPECT_EQ(installed, "xx/opt/a/lib" + std::string(kHeldSize - 6 + 1, '\0') + "yy");
  EXPECT_EQ(unrelocate(installed, {binary_record(2, kHeldSize + 4)}, "/opt/a"), packed);
}

TEST(Relocation, UndoesTwoOccurrencesInOneStringExactly) {
  // The prefix also stands in the string on its own account: only the recorded places may change back.
  const std::string packed = kHeld + ":/opt:" + kHeld + std::string(1, '\0') + "z";
  const auto end = static_cast<std::uint32_t>(2 * kHeldSize + 6);
  const std::vector<Relocation> records{binary_record(0, end), binary_record(kHeldSize + 6, kHeldSize)};
  const auto installed = relocate(packed, records, "/opt");
  EXPECT_EQ(installed.substr(0, 15), std::string("/opt:/opt:/opt\0", 15));
  EXPECT_EQ(installed.size(), packed.size());
  EXPECT_EQ(unrelocate(installed, records, "/opt"), packed);
}

TEST(Relocation, AcceptsAStringThatTheFileEndsWith) {
  EXPECT_EQ(relocate(kHeld, {binary_record(0, kHeldSize)}, "/p"), "/p" + std::string(kHeldSize - 2, '\0'));
}

TEST(Relocation, RefusesPaddingInsideTheCapacity) {
  const std::string packed = kHeld + std::string(10, '\0');
  EXPECT_EQ(kind_of([&] { relocate(packed, {binary_record(0, kHeldSize + 10)}, "/p"); }), ErrorKind::kBadBundle);
}

// Both wide encodings in both byte orders, beside plain text, in a file whose length may change.
TEST(Relocation, WritesEachEncodingOfTextAndUndoesIt) {
  for (const TextEncoding encoding : kTextEncodings) {
    const std::string held = placeholder(kHeldSize * unit_size(encoding), encoding);
    const std::string packed = encode("a=", encoding) + held + encode("/lib\n", encoding) + held;
    const auto length = static_cast<std::uint32_t>(held.size());
    const std::vector<Relocation> records{{RelocationKind::kText, 2 * unit_size(encoding), length, 0, encoding},
                                          {RelocationKind::kText, packed.size() - held.size(), length, 0, encoding}};
    for (const std::string prefix :
         {"/x", "/s\xC3\xB6/\xE4\xB8\xAD/\xF0\x9F\x98\x80", "/much/longer/than/the/placeholder/is"}) {
      const std::string installed = relocate(packed, records, prefix);
      EXPECT_EQ(installed, encode("a=" + prefix + "/lib\n" + prefix, encoding)) << name_of(encoding);
      EXPECT_EQ(unrelocate(installed, records, prefix), packed) << name_of(encoding);
    }
  }
}

TEST(Relocation, PadsAWideStringWithWholeNuls) {
  for (const TextEncoding encoding : kTextEncodings) {
    const std::size_t unit = unit_size(encoding);
    const std::string held = placeholder(kHeldSize * unit, encoding);
    const std::string string =
        encode("-L", encoding) + held + encode("/lib:", encoding) + held + encode("/x", encoding);
    const std::string packed = std::string(unit, '\x7f') + string + std::string(unit, '\0') + "tail";
    const auto length = static_cast<std::uint32_t>(held.size());
    const std::uint64_t first = 3 * unit, second = first + held.size() + 5 * unit;
    const std::uint64_t end = unit + string.size();
    const std::vector<Relocation> records{
        {RelocationKind::kBinary, first, length, static_cast<std::uint32_t>(end - first), encoding},
        {RelocationKind::kBinary, second, length, static_cast<std::uint32_t>(end - second), encoding}};
    const std::string installed = relocate(packed, records, "/o/p");
    std::string expected = std::string(unit, '\x7f') + encode("-L/o/p/lib:/o/p/x", encoding);
    expected.resize(unit + string.size() + unit, '\0');
    EXPECT_EQ(installed, expected + "tail") << name_of(encoding);
    EXPECT_EQ(unrelocate(installed, records, "/o/p"), packed) << name_of(encoding);
    EXPECT_EQ(longest_prefix(records), kHeldSize) << name_of(encoding);
  }
}

TEST(Relocation, FillsAShebangWithSpaces) {
  const std::string packed = "#!" + kHeld + "/bin/python -E\nPK\x03\x04" + std::string(3, '\0') + "payload";
  const std::vector<Relocation> records{{RelocationKind::kShebang, 2, kHeldSize, kHeldSize + 14}};
  const std::string installed = relocate(packed, records, "/opt/a");
  EXPECT_EQ(installed.substr(0, kHeldSize + 17), "#!/opt/a/bin/python -E" + std::string(kHeldSize - 6, ' ') + "\n");
  EXPECT_EQ(installed.size(), packed.size());
  EXPECT_EQ(unrelocate(installed, records, "/opt/a"), packed);
}

TEST(Relocation, AnswersTheLongestPrefixOfAllStrings) {
  EXPECT_EQ(longest_prefix({text_record(0)}), std::nullopt);
  EXPECT_EQ(longest_prefix({}), std::nullopt);
  // Two occurrences in one string share its room: 24 and 10 characters make 17 each.
  const std::vector<Relocation> records{{RelocationKind::kBinary, 0, 24, 40}, {RelocationKind::kBinary, 30, 10, 10}};
  EXPECT_EQ(longest_prefix(records), 17U);
  const std::string packed = placeholder(24) + "/x:abc" + placeholder(10);
  EXPECT_EQ(relocate(packed, records, "/234567890abcdefg").size(), packed.size());
  EXPECT_EQ(kind_of([&] { relocate(packed, records, "/234567890abcdefgh"); }), ErrorKind::kStorage);
}

TEST(Relocation, AsksForUtf8OnlyWhereAWideEncodingNeedsIt) {
  const std::string prefix = "/latin-\xF6";
  EXPECT_EQ(relocate(kHeld, {text_record(0)}, prefix), prefix);
  const std::string wide = encode(kHeld, TextEncoding::kUtf16Le);
  EXPECT_EQ(kind_of([&] {
              relocate(wide, {{RelocationKind::kText, 0, 2 * kHeldSize, 0, TextEncoding::kUtf16Le}}, prefix);
            }),
            ErrorKind::kUsage);
}

TEST(Relocation, RefusesRecordsOfHalfUnitsAndStringsThatDisagree) {
  const std::string packed(200, 'x');
  for (const std::vector<Relocation>& records :
       {std::vector<Relocation>{{RelocationKind::kText, 0, 25, 0, TextEncoding::kUtf16Le}},
        {{RelocationKind::kBinary, 0, 24, 26, TextEncoding::kUtf32Be}},
        {{RelocationKind::kBinary, 0, 24, 60}, {RelocationKind::kShebang, 30, 24, 30}},
        {{RelocationKind::kBinary, 0, 24, 60}, {RelocationKind::kBinary, 30, 24, 30, TextEncoding::kUtf16Le}},
        {{RelocationKind::kBinary, 0, 24, 60}, {RelocationKind::kBinary, 30, 24, 40}}}) {
    EXPECT_EQ(kind_of([&] { check_relocations(records, packed.size()); }), ErrorKind::kBadBundle);
  }
}

TEST(Relocation, RefusesAPrefixWithALineBreak) {
  EXPECT_EQ(kind_of([] { relocate(kHeld, {text_record(0)}, "/a\nb"); }), ErrorKind::kUsage);
}

TEST(Relocation, NamesTheLongestPrefixThatFits) {
  const std::string packed = kHeld + "/lib" + std::string(1, '\0');
  try {
    relocate(packed, {binary_record(0, kHeldSize + 4)}, "/" + std::string(kHeldSize, 'x'));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kStorage);
    EXPECT_THAT(error.what(), HasSubstr("at most " + std::to_string(kHeldSize) + " fit"));
  }
}

TEST(Relocation, RefusesARecordWithoutPlaceholder) {
  EXPECT_EQ(kind_of([] { relocate("plain text that is long enough", {text_record(0)}, "/p"); }), ErrorKind::kBadBundle);
}

TEST(Relocation, RefusesRecordsOutsideTheFile) {
  for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{1000}, ~std::uint64_t{0}, ~std::uint64_t{0} - 4}) {
    EXPECT_EQ(kind_of([&] { relocate(kHeld, {text_record(offset)}, "/p"); }), ErrorKind::kBadBundle);
    EXPECT_EQ(kind_of([&] { relocate(kHeld, {binary_record(offset, kHeldSize)}, "/p"); }), ErrorKind::kBadBundle);
    EXPECT_EQ(kind_of([&] { unrelocate(kHeld, {text_record(offset)}, "/p"); }), ErrorKind::kBadBundle);
  }
  EXPECT_EQ(kind_of([] { relocate(kHeld, {binary_record(0, kHeldSize + 1)}, "/p"); }), ErrorKind::kBadBundle);
  EXPECT_EQ(kind_of([] { relocate(kHeld, {binary_record(0, kHeldSize - 1)}, "/p"); }), ErrorKind::kBadBundle);
}

TEST(Relocation, RefusesOverlappingDescendingAndMixedRecords) {
  const std::string packed = kHeld + kHeld;
  EXPECT_EQ(kind_of([&] { relocate(packed, {text_record(kHeldSize), text_record(0)}, "/p"); }), ErrorKind::kBadBundle);
  EXPECT_EQ(kind_of([&] { relocate(packed, {text_record(0), text_record(0)}, "/p"); }), ErrorKind::kBadBundle);
  EXPECT_EQ(kind_of([&] {
              relocate(packed, {text_record(0), binary_record(kHeldSize, kHeldSize)}, "/p");
            }),
            ErrorKind::kBadBundle);
  EXPECT_EQ(kind_of([&] { relocate(kHeld, {{RelocationKind::kText, 0, 0, 0}}, "/p"); }), ErrorKind::kBadBundle);
}

TEST(Relocation, RefusesAStringThatEndsBeforeItsCapacity) {
  const std::string packed = kHeld + std::string(1, '\0') + "next";
  EXPECT_EQ(kind_of([&] { relocate(packed, {binary_record(0, kHeldSize + 5)}, "/p"); }), ErrorKind::kBadBundle);
}

TEST(Relocation, RefusesToUndoWhatItDidNotDo) {
  EXPECT_EQ(kind_of([] { unrelocate("/elsewhere/x", {text_record(0)}, "/srv/app"); }), ErrorKind::kBadBundle);
  EXPECT_EQ(kind_of([] { unrelocate("", {text_record(0)}, "/srv/app"); }), ErrorKind::kBadBundle);
  EXPECT_EQ(kind_of([] { unrelocate("", {text_record(0)}, "/" + std::string(100, 'p')); }), ErrorKind::kBadBundle);
}

TEST(Relocation, RefusesAPrefixThatIsNotAnAbsolutePath) {
  for (const std::string prefix : {"", "relative", "/ends/with/"}) {
    EXPECT_EQ(kind_of([&] { relocate(kHeld, {text_record(0)}, prefix); }), ErrorKind::kUsage) << prefix;
  }
  EXPECT_EQ(kind_of([] { relocate(kHeld, {text_record(0)}, std::string_view("/a\0b", 4)); }), ErrorKind::kUsage);
}

// The property that all rests on, on random files: strings of every encoding, several places in one, prefixes that are
// the beginnings of each other.
TEST(Relocation, IsUndoneExactlyOnRandomFiles) {
  std::mt19937 random(5);
  const auto some = [&](std::size_t most) {
    return std::string(random() % (most + 1), static_cast<char>('a' + random() % 26));
  };
  for (int round = 0; round < 300; ++round) {
    const bool text = round % 2 == 0;
    std::string packed;
    std::vector<Relocation> records;
    for (std::size_t strings = 1 + random() % 6; strings > 0; --strings) {
      const TextEncoding encoding = kTextEncodings[random() % kTextEncodings.size()];
      std::vector<std::size_t> own;
      packed += encode(some(9), encoding);
      for (std::size_t places = 1 + random() % 3; places > 0; --places) {
        const std::size_t units = text ? kHeldSize : kHeldSize + random() % 40;
        const std::string held = placeholder(units * unit_size(encoding), encoding);
        own.push_back(records.size());
        records.push_back({text ? RelocationKind::kText : RelocationKind::kBinary, packed.size(),
                           static_cast<std::uint32_t>(held.size()), 0, encoding});
        packed += held + encode("/" + some(9), encoding);
      }
      if (!text) {
        for (const std::size_t index : own)
          records[index].capacity = static_cast<std::uint32_t>(packed.size() - records[index].offset);
        packed += std::string(unit_size(encoding) * (1 + random() % 3), '\0');
      }
    }
    for (const std::string prefix : {"/", "/a", "/a/a", "/a/a/aaaaaaaa", "/srv/x"}) {
      const std::string installed = relocate(packed, records, prefix);
      ASSERT_EQ(unrelocate(installed, records, prefix), packed) << round << " " << prefix;
      if (text) continue;
      ASSERT_EQ(installed.size(), packed.size());
      ASSERT_LE(prefix.size(), longest_prefix(records).value());
    }
  }
}

TEST(Relocation, FitsThePlaceholderToAnyLength) {
  EXPECT_EQ(placeholder(kHeldSize), kHeld);
  EXPECT_EQ(placeholder(4), kHeld.substr(0, 4));
  EXPECT_EQ(placeholder(kHeldSize + 3), kHeld + "___");
}

// "…/lib64/ld.so" behind so many slashes that another path fits.
struct Program {
  static constexpr std::uint32_t kRoom = 40;
  std::string packed =
      "\x7f"
      "ELF" +
      std::string(kRoom, '/') + "/lib64/ld.so" + std::string(1, '\0') + "code";
  std::vector<Relocation> records{{RelocationKind::kInterpreter, 4, kRoom, kRoom}};
};

TEST(RelocationInterpreter, StaysTheHostsUnlessTheOwnLibcIsChosen) {
  const Program program;
  EXPECT_EQ(relocate(program.packed, program.records, "/srv/app"), program.packed);
  const std::string own = relocate(program.packed, program.records, "/srv/app", LibcChoice::kBundled);
  EXPECT_EQ(own.size(), program.packed.size());
  EXPECT_STREQ(own.c_str() + 4, "/srv/app/libc/ld.so");
  EXPECT_TRUE(own.ends_with("///lib64/ld.so" + std::string(1, '\0') + "code"));
}

TEST(RelocationInterpreter, IsUndoneWhicheverLibcWasChosen) {
  const Program program;
  for (const LibcChoice libc : {LibcChoice::kHost, LibcChoice::kBundled}) {
    const std::string installed = relocate(program.packed, program.records, "/srv/app", libc);
    EXPECT_EQ(unrelocate(installed, program.records, "/srv/app"), program.packed);
    const Field field = fields_of(program.records, installed.size()).front();
    EXPECT_EQ(libc_of(std::string_view(installed).substr(4, Program::kRoom), field), libc);
  }
  const std::string elsewhere = relocate(program.packed, program.records, "/srv/app", LibcChoice::kBundled);
  EXPECT_EQ(kind_of([&] { unrelocate(elsewhere, program.records, "/srv/ap"); }), ErrorKind::kBadBundle);
}

TEST(RelocationInterpreter, RefusesAPathThatDoesNotFitForTheOwnLibcOnly) {
  const Program program;
  const std::string longest(*longest_prefix(program.records, LibcChoice::kBundled), 'a');
  const std::string prefix = "/" + longest.substr(1);
  EXPECT_EQ(prefix.size(), Program::kRoom - std::string_view("/libc/ld.so").size() - 1);
  EXPECT_EQ(
      unrelocate(relocate(program.packed, program.records, prefix, LibcChoice::kBundled), program.records, prefix),
      program.packed);
  EXPECT_EQ(kind_of([&] { relocate(program.packed, program.records, prefix + "b", LibcChoice::kBundled); }),
            ErrorKind::kStorage);
  EXPECT_EQ(relocate(program.packed, program.records, prefix + "b"), program.packed);
  EXPECT_EQ(longest_prefix(program.records), std::nullopt);
}

TEST(RelocationInterpreter, RefusesARecordThatCoversMoreThanSlashes) {
  Program program;
  program.records.front().length = program.records.front().capacity = Program::kRoom + 2;
  for (const LibcChoice libc : {LibcChoice::kHost, LibcChoice::kBundled})
    EXPECT_EQ(kind_of([&] { relocate(program.packed, program.records, "/a", libc); }), ErrorKind::kBadBundle);
}

}  // namespace
}  // namespace holdall::bundle
