#include "runtime/text/unicode.h"

#include <gtest/gtest.h>

#include <string>

namespace holdall::runtime::text {
namespace {

using namespace std::string_literals;

TEST(Utf8, KeepsWhatIsWellFormed) {
  const std::string text =
      "a\0\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"s;
  EXPECT_EQ(valid_utf8(text), text);
}

// Expected values: Unicode 15, tables 3-8 to 3-11.
TEST(Utf8, ReplacesEachMaximalIllFormedPart) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(valid_utf8("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
                       "A"),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(valid_utf8("\xed\xa0\x80\xed\xbf\xbf\xed\xaf"
                       "A"),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(valid_utf8("\xf4\x91\x92\x93\xff"
                       "A\x80\xbf"
                       "B"),
            r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(valid_utf8("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
                       "A"),
            r + r + r + r + "A");
}

TEST(Utf8, ReplacesATruncatedEndOnce) {
  EXPECT_EQ(valid_utf8("a\xf0\x9f\x8f"), "a\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("a\xe4"), "a\xef\xbf\xbd");
}

TEST(Nfc, ComposesReordersAndExcludes) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("s\u0307\u0323"), "\u1e69");       // reordered, then composed twice
  EXPECT_EQ(nfc("\u1112\u1161\u11ab"), "\ud55c");  // Hangul
  EXPECT_EQ(nfc("\u212b"), "\u00c5");              // a singleton
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");        // a composition exclusion
  EXPECT_EQ(nfc("\ufb01"), "\ufb01");              // compatibility only: stays
  EXPECT_EQ(nfc("a\0e\u0301"s), "a\0\u00e9"s);
}

// U+1DF9 (below, class 220) came with Unicode 10, U+1DFD with Unicode 6.
TEST(Nfc, LeavesMarksThatAreNewerThanTheReferencesTables) {
  EXPECT_EQ(nfc("a\u1dfd\u0301"), "\u00e1\u1dfd");
  EXPECT_EQ(nfc("a\u1df9\u0301"), "a\u1df9\u0301");
}

TEST(Nfc, SortsLongRunsOfMarksQuickly) {
  std::string text = "e";
  for (int i = 0; i < 200000; ++i) text += "\u0301\u0316";  // classes 230 and 220: neighbours must change places
  const std::string normal = nfc(text);
  EXPECT_EQ(normal.substr(0, 6), "\u00e9\u0316\u0316");
  EXPECT_EQ(normal.substr(normal.size() - 4), "\u0301\u0301");
  EXPECT_EQ(normal.size(), text.size() - 1);  // e and the first U+0301 became é
}

}  // namespace
}  // namespace holdall::runtime::text
