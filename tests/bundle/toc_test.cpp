#include "bundle/toc.h"

#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

const std::string kDigest = to_string(sha256(std::as_bytes(std::span("x", 1))));
const std::string kEmpty = to_string(sha256({}));

std::string dir(const std::string& name) {
  return R"({"type":"dir","name":")" + name + R"(","mode":493})";
}
std::string link(const std::string& name, const std::string& target) {
  return R"({"type":"symlink","name":")" + name + R"(","mode":493,"linkName":")" + target + R"("})";
}
std::string empty_file(const std::string& name, const std::string& more = {}) {
  return R"({"type":"reg","name":")" + name + R"(","mode":420,"size":0,"digest":")" + kEmpty + '"' + more + '}';
}
// A file of one chunk whose frame is [offset, end).
std::string file(const std::string& name, int offset, int end, int size = 100) {
  return R"({"type":"reg","name":")" + name + R"(","mode":420,"size":)" + std::to_string(size) + R"(,"digest":")" +
         kDigest + R"(","offset":)" + std::to_string(offset) + R"(,"endOffset":)" + std::to_string(end) +
         R"(,"chunkSize":)" + std::to_string(size) + R"(,"chunkDigest":")" + kDigest + "\"}";
}
struct Part {
  int offset, chunk_offset, chunk_size;
};
std::string first(int size, int end, Part part) {
  return R"({"type":"reg","name":"f","mode":420,"size":)" + std::to_string(size) + R"(,"digest":")" + kDigest +
         R"(","offset":)" + std::to_string(part.offset) + R"(,"endOffset":)" + std::to_string(end) +
         R"(,"chunkSize":)" + std::to_string(part.chunk_size) + R"(,"chunkDigest":")" + kDigest + "\"}";
}
std::string chunk(const std::string& name, Part part) {
  return R"({"type":"chunk","name":")" + name + R"(","offset":)" + std::to_string(part.offset) + R"(,"chunkSize":)" +
         std::to_string(part.chunk_size) + R"(,"chunkOffset":)" + std::to_string(part.chunk_offset) +
         R"(,"chunkDigest":")" + kDigest + "\"}";
}

std::string toc_of(const std::vector<std::string>& entries) {
  std::string text = R"({"version":1,"entries":[)";
  for (const std::string& entry : entries) text += (text.back() == '[' ? "" : ",") + entry;
  return text + "]}";
}

std::string refusal(const std::vector<std::string>& entries) {
  return error_of(ErrorKind::kBadBundle, [&] { parse_toc(toc_of(entries)); });
}
std::string refusal_of_text(const std::string& text) {
  return error_of(ErrorKind::kBadBundle, [&] { parse_toc(text); });
}

using ::testing::HasSubstr;

TEST(Toc, ParsesWhatItWrites) {
  Toc toc;
  Entry folder = entry_of({"d", EntryType::kDirectory, {}});
  folder.layer = "app";
  Entry entry;
  entry.path = "d/\"quoted\"\n\xC3\xA9";
  entry.executable = true;
  entry.size = 300;
  entry.digest = sha256(bytes_of("f"));
  entry.chunks = {{10, 5, 0, 100, sha256(bytes_of("a")), false}, {15, 7, 100, 200, sha256(bytes_of("b")), true}};
  entry.relocations = {{RelocationKind::kShebang, 3, 24, 30},
                       {RelocationKind::kBinary, 40, 24, 80},
                       {RelocationKind::kBinary, 140, 48, 80, TextEncoding::kUtf16Be}};
  entry.elf = ElfRecord{{{64, std::string("\0\x01", 2), "\xFF\x02"}}, 290, sha256(bytes_of("v"))};
  entry.vendor = true;
  entry.kernels = {{"75", "90a"}, {"90@9.0"}};
  entry.layer = "cuda";
  const Entry link_entry = entry_of({"l", EntryType::kSymlink, "d/x"});
  toc.entries = {folder, entry, link_entry};

  const Toc parsed = parse_toc(to_json(toc));

  ASSERT_EQ(parsed.entries.size(), 3u);
  EXPECT_EQ(parsed.entries[0].layer, "app");
  EXPECT_EQ(parsed.entries[2].link_target, "d/x");
  const Entry& got = parsed.entries[1];
  EXPECT_EQ(got.path, entry.path);
  EXPECT_TRUE(got.executable && got.vendor);
  EXPECT_EQ(got.digest, entry.digest);
  ASSERT_EQ(got.chunks.size(), 2u);
  EXPECT_EQ(got.chunks[0].frame_size, 5u);
  EXPECT_EQ(got.chunks[1].frame_size, 7u);
  EXPECT_EQ(got.chunks[1].digest, entry.chunks[1].digest);
  EXPECT_TRUE(got.chunks[1].zeros && !got.chunks[0].zeros);
  ASSERT_EQ(got.relocations.size(), 3u);
  EXPECT_EQ(got.relocations[0].kind, RelocationKind::kShebang);
  EXPECT_EQ(got.relocations[2].encoding, TextEncoding::kUtf16Be);
  EXPECT_EQ(got.relocations[1].kind, RelocationKind::kBinary);
  EXPECT_EQ(got.relocations[1].capacity, 80u);
  ASSERT_TRUE(got.elf && got.elf->patches.size() == 1);
  EXPECT_EQ(got.elf->patches[0].old_bytes, std::string("\0\x01", 2));
  EXPECT_EQ(got.elf->original_size, 290u);
  EXPECT_EQ(got.kernels.cubin, entry.kernels.cubin);
  EXPECT_EQ(got.kernels.ptx, entry.kernels.ptx);
  EXPECT_TRUE(parsed.entries[0].kernels.empty());
  EXPECT_EQ(to_json(parsed), to_json(toc));
}

TEST(Toc, RefusesEveryPathThatIsNotPlainlyInside) {
  for (const std::string& path :
       {std::string("../x"), std::string("a/../../x"), std::string("/x"), std::string("//x"), std::string(),
        std::string("."), std::string("./x"), std::string("x/"), std::string("x//y"), std::string(".."),
        std::string("a\\u0000b"), std::string(8192, 'p'), std::string(256, 'p'), std::string("\xC3\x28")}) {
    EXPECT_FALSE(refusal({dir("a"), dir("x"), empty_file(path)}).empty()) << path;
  }
  std::string deep = "d";
  for (int i = 0; i < 200; ++i) deep += "/d";
  EXPECT_THAT(refusal({empty_file(deep)}), HasSubstr("is deeper than 128"));
}

TEST(Toc, RefusesAPathListedTwice) {
  EXPECT_THAT(refusal({empty_file("a"), empty_file("a")}), HasSubstr("'a' is listed twice"));
  EXPECT_THAT(refusal({dir("d"), link("d", "x")}), HasSubstr("'d' is listed twice"));
  EXPECT_THAT(refusal({empty_file("h/first"), empty_file("h")}), HasSubstr("'h' is listed twice"));
}

TEST(Toc, RefusesAFileOrLinkAsAParent) {
  EXPECT_THAT(refusal({empty_file("a"), empty_file("a/b")}), HasSubstr("lies under 'a', which is no folder"));
  EXPECT_THAT(refusal({dir("t"), link("d", "t"), empty_file("d/f")}), HasSubstr("lies under 'd', which is no folder"));
}

TEST(Toc, RefusesAMemberBeforeItsFolder) {
  EXPECT_THAT(refusal({dir("a"), empty_file("b/c"), dir("b")}), HasSubstr("comes without its folder 'b' before it"));
}

TEST(Toc, NeedsNoFolderForTheFirstMember) {
  EXPECT_EQ(parse_toc(toc_of({empty_file("holdall/bundle.json"), empty_file("holdall/sbom.json")})).entries.size(), 2u);
}

TEST(Toc, RefusesLinksOutOfTheTree) {
  for (const char* target : {"/tmp", "..", "../x", "d/../../x", "", "a\\u0000b"}) {
    EXPECT_FALSE(refusal({dir("d"), link("l", target)}).empty()) << target;
  }
  EXPECT_THAT(refusal({dir("d"), link("d/l", "../../x")}), HasSubstr("leads out of the tree"));
}

TEST(Toc, RefusesAChainOfHarmlessLinksThatEscapes) {
  // Each link alone stays inside; x/y/up is the root, so x/y/up/../etc is not.
  EXPECT_THAT(refusal({dir("x"), dir("x/y"), link("x/y/up", "../.."), link("out", "x/y/up/../etc")}),
              HasSubstr("link 'out' to 'x/y/up/../etc' leads out of the tree"));
}

TEST(Toc, RefusesLinksInACircle) {
  EXPECT_THAT(refusal({link("a", "b"), link("b", "a")}), HasSubstr("leads in a circle"));
  EXPECT_THAT(refusal({link("a", "a/x")}), HasSubstr("leads in a circle"));
}

TEST(Toc, AcceptsLinksInsideTheTree) {
  EXPECT_EQ(parse_toc(toc_of({dir("d"), dir("d/e"), link("d/e/l", "../../d"), link("m", "d/e/l/e"),
                              link("n", "not/there"), link("root", ".")}))
                .entries.size(),
            6u);
}

TEST(Toc, RefusesModesOtherThan0755And0644) {
  for (const char* mode :
       {"2541", "1517", "1005", "511", "448", "-1", "\"0755\"", "493.0"}) {  // setuid, setgid, sticky, …
    EXPECT_FALSE(refusal({R"({"type":"dir","name":"d","mode":)" + std::string(mode) + "}"}).empty()) << mode;
  }
}

TEST(Toc, RefusesTypesOtherThanItsFour) {
  for (const char* type : {"hardlink", "char", "block", "fifo", "REG", ""}) {
    EXPECT_FALSE(refusal({R"({"type":")" + std::string(type) + R"(","name":"d","mode":493})"}).empty()) << type;
  }
}

TEST(Toc, RefusesFieldsThatAnotherReaderCouldObey) {
  for (const char* field :
       {R"("xattrs":{})", R"("uid":0)", R"("linkName":"x")", R"("devMajor":1)", R"("modtime":"")"}) {
    EXPECT_THAT(refusal({empty_file("f", std::string(",") + field)}), HasSubstr("unexpected field")) << field;
  }
}

TEST(Toc, RefusesAKeyGivenTwice) {
  EXPECT_THAT(refusal({empty_file("f", R"(,"name":"g")")}), HasSubstr("key 'name' is given twice"));
  EXPECT_FALSE(refusal_of_text(R"({"version":1,"entries":[],"entries":[]})").empty());
}

TEST(Toc, RefusesChunksOutOfOrderOverlappingOrOfTheWrongSum) {
  EXPECT_FALSE(parse_toc(toc_of({first(150, 40, {10, 0, 100}), chunk("f", {20, 100, 50})})).entries.empty());
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("f", {10, 100, 50})}).empty());  // same frame
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("f", {5, 100, 50})}).empty());   // frame before
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("f", {20, 90, 60})}).empty());   // overlap in the file
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("f", {20, 110, 40})}).empty());  // gap
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("f", {20, 100, 51})}).empty());  // beyond the file
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("f", {20, 100, 49})}).empty());  // short
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("f", {40, 100, 50})}).empty());  // at endOffset
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100}), chunk("g", {20, 100, 50})}).empty());  // of another file
  EXPECT_FALSE(refusal({first(150, 40, {10, 0, 100})}).empty());
  EXPECT_FALSE(refusal({dir("d"), chunk("d", {20, 100, 50})}).empty());
  EXPECT_FALSE(refusal({chunk("f", {20, 100, 50})}).empty());
}

TEST(Toc, RefusesFilesWhoseFramesOverlap) {
  EXPECT_FALSE(parse_toc(toc_of({file("a", 10, 20), file("b", 21, 30)})).entries.empty());
  EXPECT_FALSE(refusal({file("a", 10, 20), file("b", 20, 30)}).empty());  // no room for b's header
  EXPECT_FALSE(refusal({file("a", 10, 20), file("b", 15, 30)}).empty());
  EXPECT_FALSE(refusal({file("a", 0, 20)}).empty());
  EXPECT_FALSE(refusal({file("a", 10, 10)}).empty());
}

TEST(Toc, RefusesAChunkOver4MiB) {
  EXPECT_FALSE(parse_toc(toc_of({file("a", 10, 20, 4 << 20)})).entries.empty());
  EXPECT_THAT(refusal({file("a", 10, 20, (4 << 20) + 1)}), HasSubstr("/entries/0/chunkSize"));
}

TEST(Toc, RefusesAnEmptyFileWithFrames) {
  EXPECT_THAT(refusal({empty_file("a", R"(,"offset":5,"endOffset":9)")}), HasSubstr("an empty file has 'offset'"));
}

TEST(Toc, RefusesSizesThatNoFileHas) {
  for (const char* size :
       {"-1", "1e9", "18446744073709551615", "18446744073709551616", "1152921504606846976", "\"5\""}) {
    EXPECT_FALSE(refusal({R"({"type":"reg","name":"f","mode":420,"offset":1,"endOffset":2,"chunkSize":1,"digest":")" +
                          kDigest + R"(","chunkDigest":")" + kDigest + R"(","size":)" + size + "}"})
                     .empty());
  }
}

TEST(Toc, RefusesRelocationsOutsideTheirFile) {
  const auto with = [](const std::string& records) {
    std::string text = file("a", 10, 20);
    text.pop_back();
    return toc_of({text + R"(,"holdall":{"relocations":)" + records + "}}"});
  };
  EXPECT_FALSE(parse_toc(with(R"([["shebang",0,24,25],["binary",40,24,60]])")).entries.empty());
  EXPECT_FALSE(parse_toc(with(R"([["text",0,24],["text",30,48,"utf-16le"]])")).entries.empty());
  for (const char* records :
       {R"([["text",0,24],["binary",40,24,60]])", R"([["text",0,25,"utf-16le"]])", R"([["text",0,24,"8bit"]])",
        R"([["text",0,24,"utf-7"]])", R"([["shebang",0,24,24,"utf-16le"]])", R"([["binary",0,24]])",
        R"([["binary",0,24,50],["binary",30,10,21]])", R"([["binary",0,24,51,"utf-16le"]])", R"([["text",77,24]])",
        R"([["text",18446744073709551615,24]])", R"([["binary",40,24,61]])", R"([["binary",40,24,23]])",
        R"([["text",0,24],["text",23,24]])", R"([["text",0,0]])", R"([["text",0]])", R"([["other",0,24]])", R"([[]])",
        R"({})", R"([5])"}) {
    EXPECT_FALSE(refusal_of_text(with(records)).empty()) << records;
  }
}

TEST(Toc, RefusesElfPatchesOutsideTheirFile) {
  const auto with = [](const std::string& patches, int original_size = 100) {
    std::string text = file("a", 10, 20);
    text.pop_back();
    return toc_of({text + R"(,"holdall":{"elf":{"patches":)" + patches + R"(,"original_size":)" +
                   std::to_string(original_size) + R"(,"original_digest":")" + kDigest + R"("}}})"});
  };
  EXPECT_FALSE(parse_toc(with(R"([[98,"00ff","1122"]])")).entries.empty());
  EXPECT_FALSE(refusal_of_text(with("[]", 101)).empty());
  EXPECT_FALSE(parse_toc(with(R"([[49,"00","11"]])", 50)).entries.empty());
  EXPECT_FALSE(refusal_of_text(with(R"([[50,"00","11"]])", 50)).empty()) << "undone, there is no such byte";
  for (const char* patches : {R"([[99,"00ff","1122"]])", R"([[0,"00ff","11"]])", R"([[0,"0","1"]])",
                              R"([[0,"zz","11"]])", R"([[5,"00","11"],[5,"00","11"]])", R"([[0,"00"]])"}) {
    EXPECT_FALSE(refusal_of_text(with(patches)).empty()) << patches;
  }
}

TEST(Toc, RefusesTextThatIsNoTocAtAll) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string("{}"),
        std::string(R"({"version":2,"entries":[]})"), std::string(R"({"version":1})"),
        std::string(R"({"version":1,"entries":{}})"), std::string(R"({"version":1,"entries":[]})"),
        std::string(R"({"version":1,"entries":[0]})"), std::string(R"({"version":1,"entries":[[]]})"),
        std::string(R"({"version":1,"entries":{"a":{"type":"dir"}}})"), toc_of({dir("a")}) + "x",
        R"({"more":1,)" + toc_of({dir("a")}).substr(1), std::string("\xEF\xBB\xBF\x00", 4)}) {
    EXPECT_FALSE(refusal_of_text(text).empty()) << text;
  }
}

TEST(Toc, RefusesDeepNestingWithoutRecursion) {
  EXPECT_THAT(refusal_of_text(R"({"version":1,"entries":[)" + std::string(5'000'000, '[')), HasSubstr("bad TOC"));
  EXPECT_THAT(refusal({R"({"type":)" + std::string(1000, '[')}), HasSubstr("nested deeper than 8"));
}

}  // namespace
}  // namespace holdall::bundle
