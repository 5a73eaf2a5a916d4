#include "packer/relocation/prefix_rewrite.h"

#include <cstdlib>
#include <ctime>
#include <random>

#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::Relocation;
using bundle::RelocationKind;
using bundle::TextEncoding;

const std::string kHeld(bundle::kPlaceholder);
const std::string kNul(1, '\0');
const std::vector<PrefixSpelling> kPrefixes{{"/real/envs/foo", ""}, {"/envs/foo", ""}};

struct Rewritten {
  std::string contents;
  std::vector<Relocation> relocations;
  std::string installed(const std::string& prefix) const { return bundle::relocate(contents, relocations, prefix); }
};

// What a file becomes, read in pieces of an odd size.
Rewritten rewritten(const std::string& contents, const FileFacts& facts = {.bundle_path = "share/x"},
                    const std::vector<PrefixSpelling>& prefixes = kPrefixes,
                    ShebangForm shebang = ShebangForm::kRelative) {
  const auto file = std::make_shared<const MemoryFile>("file", contents);
  PrefixRewrite plan = PrefixRewriter(prefixes, shebang).plan(*file, facts);
  EXPECT_EQ(plan.splices.empty(), plan.empty());
  const SplicedFile spliced(file, plan.splices);
  EXPECT_EQ(original_size(spliced.size(), plan.splices), contents.size());
  std::string result;
  std::vector<std::byte> piece(37);
  while (const std::size_t count = spliced.read_some(result.size(), piece))
    result.append(reinterpret_cast<const char*>(piece.data()), count);
  EXPECT_EQ(result.size(), spliced.size());
  return {result, plan.relocations};
}

TEST(PrefixRewrite, ReplacesThePrefixAtBoundariesAndRecordsWhere) {
  const auto result = rewritten("a=/envs/foo/lib b=/envs/foo2 c=/real/envs/foo\n");
  EXPECT_EQ(result.contents, "a=" + kHeld + "/lib b=/envs/foo2 c=" + kHeld + "\n");
  ASSERT_EQ(result.relocations.size(), 2U);
  EXPECT_EQ(result.installed("/srv/x"), "a=/srv/x/lib b=/envs/foo2 c=/srv/x\n");
}

TEST(PrefixRewrite, LeavesFilesWithoutThePrefixAlone) {
  for (const std::string& contents :
       {std::string("a=/envs/foo2\n"), std::string("x/envs/foo.bak"), std::string(), std::string("/other") + kNul}) {
    EXPECT_EQ(rewritten(contents).contents, contents);
    EXPECT_TRUE(rewritten(contents).relocations.empty());
  }
  EXPECT_EQ(rewritten("a=/envs/foo\n", {.bundle_path = "x"}, {}).contents, "a=/envs/foo\n");
}

TEST(PrefixRewrite, TakesAnyEightBitEncodingForText) {
  const auto result = rewritten("caf\xE9=/envs/foo/\xFF\xFE\n");
  EXPECT_EQ(result.contents, "caf\xE9=" + kHeld + "/\xFF\xFE\n");
  EXPECT_EQ(result.relocations.at(0).kind, RelocationKind::kText);
}

TEST(PrefixRewrite, TwoBuildFoldersGiveTheSameText) {
  const auto one = rewritten("p=/one/place/lib\n", {.bundle_path = "etc/x"}, {{"/one/place", ""}});
  const auto two = rewritten("p=/another/much/longer/lib\n", {.bundle_path = "etc/x"}, {{"/another/much/longer", ""}});
  EXPECT_EQ(one.contents, two.contents);
}

TEST(PrefixRewrite, RewritesUtf16AndUtf32TextWithAndWithoutAByteOrderMark) {
  for (const TextEncoding encoding : bundle::kTextEncodings) {
    for (const std::string mark : {"", "\xEF\xBB\xBF"}) {
      const auto wide = [&](const std::string& text) { return bundle::encode(text, encoding); };
      const auto result = rewritten(wide(mark + "a=/envs/foo/lib /envs/foo2 /envs/foo\n"));
      EXPECT_EQ(result.contents, wide(mark + "a=" + kHeld + "/lib /envs/foo2 " + kHeld + "\n")) << name_of(encoding);
      ASSERT_EQ(result.relocations.size(), 2U) << name_of(encoding);
      EXPECT_EQ(result.relocations[0].encoding, encoding);
      EXPECT_EQ(result.relocations[0].kind, RelocationKind::kText);
      EXPECT_EQ(result.installed("/s\xC3\xB6"), wide(mark + "a=/s\xC3\xB6/lib /envs/foo2 /s\xC3\xB6\n"));
    }
  }
}

TEST(PrefixRewrite, FindsPrefixesBeyondAsciiInWideText) {
  const std::vector<PrefixSpelling> prefixes{{"/\xE7\x92\xB0\xE5\xA2\x83/\xF0\x9F\x98\x80", ""}};
  for (const TextEncoding encoding : bundle::kTextEncodings) {
    const auto result =
        rewritten(bundle::encode("p=" + prefixes[0].text + "/lib\n", encoding), {.bundle_path = "x"}, prefixes);
    EXPECT_EQ(result.contents, bundle::encode("p=" + kHeld + "/lib\n", encoding)) << name_of(encoding);
  }
}

TEST(PrefixRewrite, KeepsTheLengthOfCStringsWithAllTheirPlaces) {
  for (const TextEncoding encoding : bundle::kTextEncodings) {
    const auto wide = [&](const std::string& text) { return bundle::encode(text, encoding); };
    const std::string nul(unit_size(encoding), '\0');
    const std::string contents =
        nul + wide("-L/envs/foo/lib:/envs/foo/x") + nul + wide("/envs/foo") + nul + wide("end");
    const auto result = rewritten(contents);
    EXPECT_EQ(result.contents.size(), contents.size()) << name_of(encoding);
    EXPECT_EQ(result.contents.find(wide("/envs/foo")), contents.npos) << name_of(encoding);
    ASSERT_EQ(result.relocations.size(), 3U) << name_of(encoding);
    std::string first = wide("-L/e/lib:/e/x"), second = wide("/e");
    first.resize(wide("-L/envs/foo/lib:/envs/foo/x").size(), '\0');
    second.resize(wide("/envs/foo").size(), '\0');
    EXPECT_EQ(result.installed("/e"), nul + first + nul + second + nul + wide("end")) << name_of(encoding);
  }
}

TEST(PrefixRewrite, EndsAStringWithTheFile) {
  const auto result = rewritten(kNul + "/envs/foo/lib");
  EXPECT_EQ(result.installed("/e"), kNul + "/e/lib" + std::string(7, '\0'));
}

// conda filled the string with NUL when it put its prefix in the place of the package's longer placeholder.
TEST(PrefixRewrite, GivesAStringTheRoomThatItsPackageGaveIt) {
  const FileFacts facts{.bundle_path = "lib/x", .kind = ContentKind::kBinary, .placeholder_length = 30};
  const std::string text = "/envs/foo/lib:/envs/foo";
  const std::string contents = "x" + kNul + text + std::string(2 * (30 - 9), '\0') + kNul + "tail";
  const auto result = rewritten(contents, facts);
  const std::string held = bundle::placeholder(30);
  EXPECT_EQ(result.contents, "x" + kNul + held + "/lib:" + held + kNul + "tail");
  EXPECT_EQ(bundle::longest_prefix(result.relocations), 30U);
  const std::string prefix = "/" + std::string(29, 'p');
  EXPECT_EQ(result.installed(prefix), "x" + kNul + prefix + "/lib:" + prefix + kNul + "tail");
  // Another environment's packed bytes are the same.
  const std::string other = "/other/place";
  EXPECT_EQ(rewritten("x" + kNul + other + "/lib:" + other + std::string(2 * (30 - 12), '\0') + kNul + "tail", facts,
                      {{other, ""}})
                .contents,
            result.contents);
  // Edited since: there is no such room.
  const std::string edited = "x" + kNul + text + std::string(3, '\0') + "tail";
  EXPECT_EQ(rewritten(edited, facts).contents.size(), edited.size());
  EXPECT_EQ(bundle::longest_prefix(rewritten(edited, facts).relocations), 9U);
}

TEST(PrefixRewrite, FindsEveryStringOfALargeFile) {
  std::mt19937 random(3);
  std::string contents(9'000'000, '\x7f');
  std::string expected = contents;
  const std::string string = "/envs/foo/lib" + kNul;
  std::string moved = "/e/lib";
  moved.resize(string.size(), '\0');
  std::size_t count = 0;
  const auto put = [&](std::size_t at) {
    contents[at - 1] = expected[at - 1] = '=';
    contents.replace(at, string.size(), string);
    expected.replace(at, moved.size(), moved);
    ++count;
  };
  for (const std::size_t border : {4'194'304U, 8'388'608U})  // where the pieces of the search meet
    for (const std::size_t distance : {0, 60, 95, 120, 160}) put(border - 100 + distance);
  for (std::size_t at = 1000; at < 4'000'000; at += 1000 + random() % 100'000) put(at);
  const auto result = rewritten(contents);
  EXPECT_EQ(result.relocations.size(), count);
  EXPECT_TRUE(result.installed("/e") == expected);
}

TEST(PrefixRewrite, LeavesAStringThatIsTooLongToTheLeakAudit) {
  for (const std::string& end : {std::string(), kNul}) {
    EXPECT_TRUE(rewritten(kNul + "/envs/foo/" + std::string(70'000, 'x') + end).relocations.empty());
    EXPECT_EQ(rewritten(kNul + "/envs/foo/" + std::string(60'000, 'x') + end).relocations.size(), 1U);
  }
}

// A wide string without a NUL runs on into whatever comes, which may hold a path of 8 bits a character.
TEST(PrefixRewrite, LeavesAStringToTheLeakAuditThatHoldsAnotherEncoding) {
  for (const TextEncoding encoding : {TextEncoding::kUtf16Le, TextEncoding::kUtf16Be, TextEncoding::kUtf32Le}) {
    const std::string wide = bundle::encode("/envs/foo/lib", encoding);
    const std::string contents = wide + "\x7f\x7f=/envs/foo/xy" + kNul + wide + "\x7f" + std::string(8, '\0');
    const auto result = rewritten(contents);
    bundle::check_relocations(result.relocations, result.contents.size());
    EXPECT_EQ(result.relocations.size(), 2U) << name_of(encoding);
    const std::string expected = wide + "\x7f\x7f=/e/xy" + std::string(8, '\0');
    EXPECT_EQ(result.installed("/e").substr(0, expected.size()), expected) << name_of(encoding);
  }
}

// Each hit asks where its string ends, and there is no NUL for megabytes.
// Processor time, on whatever machine and however instrumented: eight times the hits may take 8 times as long, and
// would take 64 times as long if each were paid for by all before it.
TEST(PrefixRewrite, IsLinearInWhatItFinds) {
  for (const TextEncoding encoding : {TextEncoding::k8Bit, TextEncoding::kUtf16Le}) {
    const auto time_of = [&](std::size_t hits) {
      std::string contents;
      for (std::size_t i = 0; i < hits; ++i) contents += bundle::encode("/envs/foo\n", encoding);
      const std::clock_t before = std::clock();
      EXPECT_EQ(rewritten(contents).relocations.size(), hits);
      return std::clock() - before;
    };
    const std::clock_t few = time_of(10'000), many = time_of(80'000);
    EXPECT_LT(many, 24 * few);
  }
}

TEST(PrefixRewrite, RewritesTheFirstLineOfAScriptWithAPayloadInPlace) {
  const std::string contents = "#!/envs/foo/bin/python -E\nPK" + kNul + "/envs/foo/x" + kNul + "payload";
  const auto result = rewritten(contents, {.bundle_path = "bin/app"});
  ASSERT_EQ(result.relocations.size(), 2U);
  EXPECT_EQ(result.relocations[0].kind, RelocationKind::kShebang);
  EXPECT_EQ(result.relocations[1].kind, RelocationKind::kBinary);
  EXPECT_EQ(result.installed("/e"),
            "#!/e/bin/python -E       \nPK" + kNul + "/e/x" + std::string(7, '\0') + kNul + "payload");
}

TEST(PrefixRewrite, ARootBelowTheTreeKeepsItsFolder) {
  const std::vector<PrefixSpelling> prefixes{{"/build/deep/env", "env"}};
  const FileFacts facts{.bundle_path = "env/etc/x"};
  EXPECT_EQ(rewritten("p=/build/deep/env/lib\n", facts, prefixes).installed("/srv/tree"), "p=/srv/tree/env/lib\n");
  const auto binary = rewritten(kNul + "/build/deep/env/lib" + kNul, facts, prefixes);
  EXPECT_EQ(binary.installed("/srv/tree"), kNul + "/srv/tree/env/lib" + std::string(3, '\0'));
  EXPECT_EQ(bundle::longest_prefix(binary.relocations), 11U);
}

// "/opt/py" has no room for "<tree>/python-base", and nothing that reads it would need that.
TEST(PrefixRewrite, BlotsAPrefixOutOfCStringsWhoseProgramsFindTheirFilesThemselves) {
  const std::vector<PrefixSpelling> prefixes{{"/envs/foo", ""}, {"/opt/py", "python-base", true}};
  const FileFacts facts{.bundle_path = "python-base/bin/python3"};
  EXPECT_EQ(rewritten("p=/opt/py/lib\n", facts, prefixes).installed("/e"), "p=/e/python-base/lib\n");
  const auto alone = rewritten(kNul + "/opt/py/lib" + kNul, facts, prefixes);
  EXPECT_EQ(alone.contents, kNul + bundle::placeholder(7) + "/lib" + kNul);
  EXPECT_TRUE(alone.relocations.empty());
  const auto beside = rewritten(kNul + "/opt/py/lib:/envs/foo/lib:/opt/py" + kNul, facts, prefixes);
  EXPECT_EQ(bundle::longest_prefix(beside.relocations), 9U);
  EXPECT_EQ(beside.installed("/e"),
            kNul + bundle::placeholder(7) + "/lib:/e/lib:" + bundle::placeholder(7) + std::string(7, '\0') + kNul);
}

TEST(PrefixRewrite, WritesADestinationAtOnce) {
  std::vector<PrefixSpelling> prefixes = kPrefixes;
  prefixes.push_back({"/opt/py", "python-base", true});
  const PrefixRewriter rewriter(prefixes, ShebangForm::kRelative);
  const auto settle = [&](const std::string& contents, const std::string& destination) {
    const auto file = std::make_shared<const MemoryFile>("lib/x", contents);
    const PrefixRewrite done = settled(rewriter.plan(*file, {.bundle_path = "lib/x"}), destination);
    EXPECT_TRUE(done.relocations.empty());
    const SplicedFile spliced(file, done.splices);
    std::string result(spliced.size(), '\0');
    EXPECT_EQ(spliced.read_some(0, std::as_writable_bytes(std::span(result))), result.size());
    return result;
  };
  EXPECT_EQ(settle("a=/envs/foo/lib\n", "/a/longer/destination"), "a=/a/longer/destination/lib\n");
  EXPECT_EQ(settle(kNul + "/envs/foo/lib:/envs/foo" + kNul, "/e"), kNul + "/e/lib:/e" + std::string(15, '\0'));
  EXPECT_EQ(settle(kNul + "/opt/py" + kNul + "/opt/py:/envs/foo" + kNul, "/e"),
            kNul + bundle::placeholder(7) + kNul + bundle::placeholder(7) + ":/e" + std::string(8, '\0'));
}

TEST(SplicedFile, GivesTheSameInPiecesOfAnySize) {
  std::mt19937 random(9);
  for (int round = 0; round < 100; ++round) {
    std::string original;
    for (std::size_t i = random() % 300; i > 0; --i) original += static_cast<char>('a' + random() % 26);
    std::vector<Splice> splices;
    std::string expected;
    std::size_t done = 0;
    while (true) {
      const std::size_t at = done + random() % 40;
      if (at > original.size()) break;
      const std::size_t removed = std::min<std::size_t>(random() % 8, original.size() - at);
      const std::string inserted(random() % 8, static_cast<char>('A' + random() % 26));
      expected += original.substr(done, at - done) + inserted;
      done = at + removed;
      splices.push_back({at, removed, inserted});
    }
    expected += original.substr(done);
    const SplicedFile file(std::make_shared<const MemoryFile>("x", original), splices);
    ASSERT_EQ(file.size(), expected.size());
    for (const std::size_t piece : {1, 3, 50, 1000}) {
      std::string result;
      std::vector<std::byte> bytes(piece);
      while (const std::size_t count = file.read_some(result.size(), bytes))
        result.append(reinterpret_cast<const char*>(bytes.data()), count);
      ASSERT_EQ(result, expected) << round << " " << piece;
    }
  }
}

}  // namespace
}  // namespace holdall::packer
