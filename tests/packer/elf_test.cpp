#include <sys/stat.h>

#include <random>

#include "bundle/digest.h"
#include "packer/elf_edit.h"
#include "packer/elf_file.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::ErrorKind;

std::string patched(const std::string& path, const ElfEdit& edit) {
  std::string bytes = read_file(path);
  apply_patches(edit.patches, 0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

const std::string kOldTags = "-Wl,--disable-new-dtags,-rpath,'$ORIGIN/a/long/way/to/../lib'";
const std::string kNewTags = "-Wl,--enable-new-dtags,-rpath,'$ORIGIN/a/long/way/to/../lib'";

TEST(ElfFile, ReadsWhatTheLoaderReads) {
  const TemporaryFolder folder;
  folder.library("libneeded.so.1");
  const auto path = folder.library("libuser.so.2", kOldTags + " libneeded.so.1");
  const ElfInfo info = describe(ElfFile(path));
  EXPECT_EQ(info.soname, "libuser.so.2");
  EXPECT_EQ(info.rpath, "$ORIGIN/a/long/way/to/../lib");
  EXPECT_EQ(info.runpath, std::nullopt);
  EXPECT_EQ(info.interpreter, std::nullopt);
  ASSERT_FALSE(info.needed.empty());
  EXPECT_EQ(info.needed.front(), "libneeded.so.1");
}

TEST(ElfFile, ReadsInterpreterVersionsAndProcessorLevelOfAProgram) {
  const TemporaryFolder folder;
  const auto path =
      folder.compile("program", "#include <stdio.h>\nint main(void) { return puts(\"x\"); }\n", "-Wl,-z,x86-64-v3");
  const ElfInfo info = describe(ElfFile(path));
  ASSERT_TRUE(info.interpreter.has_value());
  EXPECT_NE(info.interpreter->find("/ld-"), std::string::npos);
  EXPECT_EQ(info.x86_level, info.machine == EM_X86_64 ? 3 : 1);
  bool glibc = false;
  for (const NeededVersion& version : info.needed_versions)
    glibc |= version.library == "libc.so.6" && version.version.starts_with("GLIBC_2.");
  EXPECT_TRUE(glibc);
}

TEST(ElfFile, RefusesWhatIsNoElfFile) {
  const TemporaryFolder folder;
  for (const std::string contents : {"", "\x7f",
                                     "\x7f"
                                     "EL",
                                     "#!/bin/sh\n",
                                     "\x7f"
                                     "ELF"}) {
    const auto result = thrown_by([&] { ElfFile(folder.write("file", contents)); });
    EXPECT_TRUE(result.thrown);
    EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
    EXPECT_TRUE(result.says(folder.path("file"))) << result.message;
  }
}

TEST(ElfFile, Refuses32BitAndBigEndian) {
  const TemporaryFolder folder;
  const std::string good = read_file(folder.library("libgood.so"));
  std::string bytes = good;
  bytes[EI_CLASS] = ELFCLASS32;
  EXPECT_TRUE(thrown_by([&] { ElfFile(folder.write("x", bytes)); }).says("not 64-bit"));
  bytes = good;
  bytes[EI_DATA] = ELFDATA2MSB;
  EXPECT_TRUE(thrown_by([&] { ElfFile(folder.write("x", bytes)); }).says("not little-endian"));
}

// Every truncation and many corruptions of a real file: an error that names it or an answer, never a crash or a hang.
TEST(ElfFile, SurvivesTruncationAndCorruption) {
  const TemporaryFolder folder;
  folder.library("libneeded.so.1");
  const std::string good = read_file(folder.library("libuser.so.2", kOldTags + " libneeded.so.1"));
  int refused = 0, read = 0;
  const auto attempt = [&](const std::string& bytes) {
    const auto result = thrown_by([&] {
      const ElfFile file(folder.write("x", bytes));
      describe(file);
      plan_edit(file, {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}});
    });
    if (result.thrown) {
      EXPECT_EQ(result.kind, ErrorKind::kCannotPack) << result.message;
      EXPECT_TRUE(result.says(folder.path("x"))) << result.message;
      ++refused;
    } else {
      ++read;
    }
  };
  for (std::size_t size = 0; size < good.size(); size += size < 1024 ? 13 : 997) attempt(good.substr(0, size));
  EXPECT_GT(refused, 50);
  std::mt19937 random(7);
  for (int round = 0; round < 600; ++round) {
    std::string bytes = good;
    // Headers, dynamic section and version tables lie in these pages; 0xff makes offsets huge.
    for (int i = 0; i < 4; ++i)
      bytes[random() % std::min<std::size_t>(bytes.size(), 1200)] = static_cast<char>(round % 3 == 0 ? 0xff : random());
    attempt(bytes);
  }
  EXPECT_GT(read, 0);
}

TEST(ElfFile, RefusesAFifoInsteadOfWaitingForIt) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo(folder.path("fifo").c_str(), 0600), 0);
  EXPECT_TRUE(thrown_by([&] { ElfFile(folder.path("fifo")); }).says("not a regular file"));
}

TEST(ElfEdit, ShortensTheLibraryPathInPlaceAndFlipsTheTag) {
  const TemporaryFolder folder;
  folder.library("libneeded.so.1");
  const auto path = folder.library("libuser.so.2", kNewTags + " libneeded.so.1");
  const ElfEdit edit = plan_edit(ElfFile(path), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}});
  ASSERT_EQ(edit.patches.size(), 2U);
  EXPECT_TRUE(edit.tail.empty());
  const std::string bytes = patched(path, edit);
  EXPECT_EQ(bytes.size(), edit.original_size);
  const ElfInfo info = describe(ElfFile(folder.write("edited.so", bytes)));
  EXPECT_EQ(info.rpath, "$ORIGIN");
  EXPECT_EQ(info.runpath, std::nullopt);
  EXPECT_EQ(info.needed, describe(ElfFile(path)).needed);
  EXPECT_EQ(bytes.find("a/long/way"), std::string::npos);
}

TEST(ElfEdit, AnEditedProgramFindsItsLibraryAndRuns) {
  const TemporaryFolder folder;
  folder.library("tree/lib/libanswer.so");
  const auto path = folder.compile("program", "int libanswerso(void);\nint main(void) { return libanswerso() - 1; }\n",
                                   "tree/lib/libanswer.so " + kNewTags);
  const ElfEdit edit =
      plan_edit(ElfFile(path), {.rpath = "$ORIGIN/../lib", .rpath_tag = RpathTag::kRpath, .interpreter = {}});
  const std::string copy = folder.write("tree/bin/program", patched(path, edit));
  std::filesystem::permissions(copy, std::filesystem::perms::owner_all);
  EXPECT_EQ(std::system(copy.c_str()), 0);
}

TEST(ElfEdit, UndoneGivesTheOriginalDigest) {
  const TemporaryFolder folder;
  const auto path = folder.library("libuser.so.2", kNewTags);
  const ElfEdit edit = plan_edit(ElfFile(path), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}});
  std::string bytes = patched(path, edit);
  const std::string original = read_file(path);
  EXPECT_NE(bytes, original);
  for (const bundle::ElfPatch& patch : edit.patches) {
    ASSERT_EQ(patch.old_bytes.size(), patch.new_bytes.size());
    bytes.replace(patch.offset, patch.old_bytes.size(), patch.old_bytes);
  }
  const auto digest = [](const std::string& text) {
    return bundle::to_hex(bundle::sha256(std::as_bytes(std::span(text))));
  };
  EXPECT_EQ(digest(bytes), digest(original));
}

TEST(ElfEdit, PlansNothingForWhatIsAsWanted) {
  const TemporaryFolder folder;
  const auto path = folder.library("libuser.so.2", "-Wl,--disable-new-dtags,-rpath,'$ORIGIN'");
  EXPECT_TRUE(plan_edit(ElfFile(path), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}}).empty());
}

TEST(ElfEdit, RefusesALongerPathThanThereIsRoomFor) {
  const TemporaryFolder folder;
  const auto path = folder.library("libuser.so.2", "-Wl,--disable-new-dtags,-rpath,/short");
  const auto result = thrown_by(
      [&] { plan_edit(ElfFile(path), {.rpath = "$ORIGIN/../lib", .rpath_tag = RpathTag::kRpath, .interpreter = {}}); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("its room is 6 bytes")) << result.message;
  EXPECT_TRUE(result.says(path)) << result.message;
}

TEST(ElfEdit, RefusesAFileWithoutALibraryPath) {
  const TemporaryFolder folder;
  const auto path = folder.library("libuser.so.2");
  EXPECT_TRUE(thrown_by([&] {
                plan_edit(ElfFile(path), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}});
              }).says("no room"));
}

TEST(ElfEdit, RefusesAStaticProgram) {
  const TemporaryFolder folder;
  const auto path = folder.program("program", "-static");
  EXPECT_TRUE(thrown_by([&] {
                plan_edit(ElfFile(path), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}});
              }).says("linked statically"));
}

// Linkers merge a string that ends another one: the symbol's name here is the tail of the path.
TEST(ElfEdit, RefusesWhenASymbolSharesTheBytesOfThePath) {
  const TemporaryFolder folder;
  const auto path =
      folder.compile("libmerged.so", "int shared_tail(void) { return 1; }\n",
                     "-shared -fPIC -O2 -Wl,-O2,--disable-new-dtags,-rpath,'/a/very/long/path/shared_tail'");
  const ElfFile file(path);
  ASSERT_EQ(describe(file).rpath, "/a/very/long/path/shared_tail");
  const std::string bytes = read_file(path);
  const std::size_t at = bytes.find("shared_tail");
  // Only if the linker merged them: the name stands once in .dynstr (and once more in .strtab, behind it).
  ASSERT_EQ(bytes.compare(at - 18, 18, "/a/very/long/path/"), 0) << "this linker does not merge suffixes";
  const auto result =
      thrown_by([&] { plan_edit(file, {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}}); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("the name 'shared_tail' shares its bytes")) << result.message;
}

TEST(ElfEdit, ReplacesTheInterpreterAndKeepsItsNul) {
  const TemporaryFolder folder;
  const auto path = folder.program("program", "-Wl,--dynamic-linker,/lib64/////////////////ld-linux-x86-64.so.2");
  const ElfEdit edit =
      plan_edit(ElfFile(path), {.rpath = {}, .rpath_tag = RpathTag::kRpath, .interpreter = "/opt/ld.so"});
  EXPECT_EQ(ElfFile(folder.write("edited", patched(path, edit))).interpreter(), "/opt/ld.so");
  EXPECT_TRUE(thrown_by([&] {
                plan_edit(ElfFile(path),
                          {.rpath = {}, .rpath_tag = RpathTag::kRpath, .interpreter = std::string(200, 'x')});
              }).says("its room is"));
}

TEST(ElfEdit, AppliesPatchesAcrossTheBordersOfWindows) {
  const std::vector<bundle::ElfPatch> patches{{3, "abcd", "WXYZ"}, {9, "q", "!"}};
  const std::string original = "012abcd78q";
  for (std::size_t window = 1; window <= original.size(); ++window) {
    std::string bytes = original;
    for (std::size_t at = 0; at < bytes.size(); at += window) {
      const auto part = std::span(bytes).subspan(at, std::min(window, bytes.size() - at));
      apply_patches(patches, at, std::as_writable_bytes(part));
    }
    EXPECT_EQ(bytes, "012WXYZ78!") << window;
  }
}

}  // namespace
}  // namespace holdall::packer
