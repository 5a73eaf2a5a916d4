#include "bundle/relocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(Relocation, UsesThePaddingBehindAString) {
  const std::string packed = kHeld + std::string(10, '\0');
  const std::string prefix = "/" + std::string(kHeldSize + 8, 'p');
  EXPECT_EQ(relocate(packed, {binary_record(0, kHeldSize + 10)}, prefix), prefix + std::string(1, '\0'));
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

TEST(Relocation, FitsThePlaceholderToAnyLength) {
  EXPECT_EQ(placeholder(kHeldSize), kHeld);
  EXPECT_EQ(placeholder(4), kHeld.substr(0, 4));
  EXPECT_EQ(placeholder(kHeldSize + 3), kHeld + "___");
}

}  // namespace
}  // namespace holdall::bundle
