#include "bundle/prefix_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bundle/error.h"

namespace holdall::bundle {
namespace {

using ::testing::HasSubstr;

const std::string kHeld(kPlaceholder);
const auto kHeldSize = static_cast<std::uint32_t>(kPlaceholder.size());

std::string refusal(const PrefixCheck& check) {
  try {
    check.require();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kStorage);
    return error.what();
  }
  return {};
}

std::string refusal_of_script(const std::string& prefix, const std::string& line, const std::string& path = "bin/tool",
                              bool executable = true) {
  PrefixCheck check(prefix);
  const std::vector<Relocation> records{{RelocationKind::kText, line.find(kHeld), kHeldSize, 0}};
  check.add({path, executable, records}, [&] { return line + "\n"; });
  return refusal(check);
}

TEST(PrefixCheck, NamesTheTightestFileAndItsLongestPath) {
  const std::vector<Relocation> roomy{{RelocationKind::kBinary, 0, 255, 260}};
  const std::vector<Relocation> tight{{RelocationKind::kBinary, 0, 255, 260}, {RelocationKind::kBinary, 300, 20, 20}};
  for (const std::size_t size : {20, 21}) {
    PrefixCheck check("/" + std::string(size - 1, 'p'));
    check.add({"lib/roomy", false, roomy}, nullptr);
    check.add({"lib/tight", false, tight}, nullptr);
    const std::string message = refusal(check);
    if (size == 20) {
      EXPECT_EQ(message, "");
    } else {
      EXPECT_THAT(message, HasSubstr("too long for 'lib/tight': found 21 bytes, at most 20 fit"));
    }
  }
}

TEST(PrefixCheck, RefusesAFirstLineThatLinuxWouldCut) {
  const std::string line = "#!" + kHeld + "/bin/perl -w";
  const std::size_t rest = line.size() - kHeld.size();
  EXPECT_EQ(refusal_of_script("/" + std::string(kLongestShebang - rest - 1, 'p'), line), "");
  EXPECT_THAT(refusal_of_script("/" + std::string(kLongestShebang - rest, 'p'), line), HasSubstr("\n  bin/tool"));
}

TEST(PrefixCheck, RefusesBlanksInAFirstLine) {
  const std::string line = "#!" + kHeld + "/bin/perl";
  EXPECT_THAT(refusal_of_script("/my files", line), HasSubstr("cannot stand in the first line"));
  EXPECT_THAT(refusal_of_script("/my\tfiles", line, "lib/x/sbin/tool"), HasSubstr("\n  lib/x/sbin/tool"));
}

TEST(PrefixCheck, LetsPassWhatIsNoScriptThatIsRun) {
  const std::string blank = "/my files";
  EXPECT_EQ(refusal_of_script(blank, "#!" + kHeld + "/bin/perl", "share/tool"), "");
  EXPECT_EQ(refusal_of_script(blank, "#!" + kHeld + "/bin/perl", "binutils/tool"), "");
  EXPECT_EQ(refusal_of_script(blank, "#!" + kHeld + "/bin/perl", "bin/tool", false), "");
  EXPECT_EQ(refusal_of_script(blank, "root=" + kHeld, "bin/tool"), "");
}

TEST(PrefixCheck, LooksAtTheFirstLineOnly) {
  const std::string text = "#!/bin/sh\nroot=" + kHeld;
  EXPECT_EQ(refusal_of_script("/my files", text), "");
}

TEST(PrefixCheck, KnowsScriptFoldersByTheirWholeName) {
  for (const char* const path : {"bin/x", "a/bin/x", "sbin/x", "usr/libexec/git/x"}) EXPECT_TRUE(is_script_place(path));
  for (const char* const path : {"bin", "binutils/x", "lib/x.bin", "xbin/y", "a/libexec2/x"})
    EXPECT_FALSE(is_script_place(path)) << path;
}

}  // namespace
}  // namespace holdall::bundle
