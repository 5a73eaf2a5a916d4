#include <sys/stat.h>

#include <cstring>
#include <functional>
#include <random>

#include "bundle/digest.h"
#include "packer/elf/edited_file.h"
#include "packer/elf_file.h"
#include "tests/packer/fixtures.h"

namespace holdall::packer {
namespace {

using bundle::ErrorKind;

// The whole file as the edit leaves it.
std::string patched(const std::string& path, const ElfEdit& edit) {
  const EditedFile edited(std::make_shared<const InputFile>(path), edit);
  std::string bytes(edited.size(), '\0');
  EXPECT_EQ(edited.read_some(0, std::as_writable_bytes(std::span(bytes))), bytes.size());
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

TEST(ElfFile, RefusesHeadersThatNoLoaderTakes) {
  const TemporaryFolder folder;
  const std::string good = read_file(folder.library("libgood.so"));
  const auto refusal = [&](const std::function<void(Elf64_Ehdr&)>& change) {
    std::string bytes = good;
    Elf64_Ehdr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    change(header);
    std::memcpy(bytes.data(), &header, sizeof header);
    return thrown_by([&] { ElfFile(folder.write("x", bytes)); });
  };
  EXPECT_TRUE(refusal([](Elf64_Ehdr& header) { header.e_type = ET_REL; }).says("neither an executable"));
  EXPECT_TRUE(refusal([](Elf64_Ehdr& header) { header.e_phnum = 0; }).says("no program headers"));
  EXPECT_TRUE(refusal([](Elf64_Ehdr& header) { header.e_phnum = PN_XNUM; }).says("too many program headers"));
  EXPECT_TRUE(refusal([](Elf64_Ehdr& header) { header.e_phentsize = 32; }).says("unknown size of program headers"));
  EXPECT_TRUE(refusal([](Elf64_Ehdr& header) { header.e_phoff = ~std::uint64_t{0}; }).says("lies outside the file"));
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

// Of a shared object whose program headers follow.
Elf64_Ehdr header_of(std::uint16_t segments) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_phoff = sizeof header;
  header.e_phnum = segments;
  header.e_phentsize = sizeof(Elf64_Phdr);
  return header;
}

// One segment with everything in it: `tables` lie behind the dynamic section, whose tags name places in them.
std::string synthetic_elf(const std::vector<std::pair<std::int64_t, std::uint64_t>>& places,
                          const std::vector<std::pair<std::int64_t, std::uint64_t>>& values,
                          const std::string& tables) {
  const std::uint64_t dynamic_at = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
  std::vector<Elf64_Dyn> dynamic;
  const std::uint64_t tables_at = dynamic_at + (places.size() + values.size() + 1) * sizeof(Elf64_Dyn);
  for (const auto& [tag, at] : places) dynamic.push_back({.d_tag = tag, .d_un = {.d_val = tables_at + at}});
  for (const auto& [tag, value] : values) dynamic.push_back({.d_tag = tag, .d_un = {.d_val = value}});
  dynamic.push_back({});
  const std::uint64_t size = tables_at + tables.size();
  Elf64_Ehdr header = header_of(2);
  Elf64_Phdr segments[2]{};
  segments[0].p_type = PT_LOAD;
  segments[0].p_filesz = segments[0].p_memsz = size;
  segments[1].p_type = PT_DYNAMIC;
  segments[1].p_offset = segments[1].p_vaddr = dynamic_at;
  segments[1].p_filesz = dynamic.size() * sizeof(Elf64_Dyn);
  std::string bytes;
  bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(segments), sizeof segments);
  bytes.append(reinterpret_cast<const char*>(dynamic.data()), dynamic.size() * sizeof(Elf64_Dyn));
  return bytes + tables;
}

template <typename T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A chain of libraries without a version each, as long as the file: nothing is found, and no end.
TEST(ElfFile, RefusesAnEndlessListOfVersions) {
  const TemporaryFolder folder;
  std::string tables(16, '\0');
  Elf64_Verneed library{};
  library.vn_next = sizeof library;
  for (int i = 0; i < 100'000; ++i) tables += bytes_of(library);
  const ElfFile file(folder.write(
      "x", synthetic_elf({{DT_STRTAB, 0}, {DT_VERNEED, 16}}, {{DT_STRSZ, 16}, {DT_VERNEEDNUM, ~0ULL}}, tables)));
  EXPECT_TRUE(thrown_by([&] { file.needed_versions(); }).says("too many symbol versions"));
}

// Few entries, each with the same long names: gigabytes, if they were all kept.
TEST(ElfFile, RefusesVersionsAndLibrariesWithHugeNames) {
  const TemporaryFolder folder;
  std::string tables(60'000, 'n');
  tables.back() = '\0';
  Elf64_Verneed library{};
  library.vn_cnt = 1000;
  library.vn_aux = sizeof library;
  tables += bytes_of(library);
  Elf64_Vernaux version{};
  version.vna_next = sizeof version;
  for (int i = 0; i < 1000; ++i) tables += bytes_of(version);
  std::vector<std::pair<std::int64_t, std::uint64_t>> values(1000, {DT_NEEDED, 0});
  values.insert(values.end(), {{DT_STRSZ, 60'000}, {DT_VERNEEDNUM, 1}});
  const ElfFile file(folder.write("x", synthetic_elf({{DT_STRTAB, 0}, {DT_VERNEED, 60'000}}, values, tables)));
  EXPECT_TRUE(thrown_by([&] { file.needed_versions(); }).says("too many symbol versions"));
  EXPECT_TRUE(thrown_by([&] { file.strings(DT_NEEDED); }).says("too many libraries"));
}

// Thousands of headers that lead to the same notes: gigabytes, if they were all kept.
TEST(ElfFile, RefusesTheSameNotesAgainAndAgain) {
  const TemporaryFolder folder;
  Elf64_Ehdr header = header_of(5000);
  Elf64_Phdr notes{};
  notes.p_type = PT_NOTE;
  notes.p_filesz = 1 << 20;
  std::string bytes = bytes_of(header);
  for (int i = 0; i < header.e_phnum; ++i) bytes += bytes_of(notes);
  const ElfFile file(folder.write("x", bytes + std::string(1 << 20, '\0')));
  EXPECT_TRUE(thrown_by([&] { file.notes(); }).says("its notes are too large"));
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

TEST(ElfEdit, SaysHowMuchRoomThereIsWhereItMustStayInPlace) {
  const TemporaryFolder folder;
  const auto path = folder.library("libuser.so.2", "-Wl,--disable-new-dtags,-rpath,/short");
  const auto result = thrown_by([&] {
    plan_edit(ElfFile(path), {.rpath = "$ORIGIN/../lib", .rpath_tag = RpathTag::kRpath, .interpreter = {}},
              {.placement = ElfPlacement::kInPlace});
  });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("its room is 6 bytes")) << result.message;
  EXPECT_TRUE(result.says(path)) << result.message;
  const auto without = folder.library("libwithout.so");
  EXPECT_TRUE(thrown_by([&] {
                plan_edit(ElfFile(without), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}},
                          {.placement = ElfPlacement::kNoteSegment});
              }).says("it is no executable"));
}

TEST(ElfEdit, RefusesAStaticProgram) {
  const TemporaryFolder folder;
  const auto path = folder.program("program", "-static");
  EXPECT_TRUE(thrown_by([&] {
                plan_edit(ElfFile(path), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}});
              }).says("linked statically"));
}

// Linkers merge a string that ends another one: the symbol's name here is the tail of the path.
class MergedNames : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = folder_.compile("libmerged.so", "int shared_tail(void) { return 1; }\n",
                            "-shared -fPIC -O2 -Wl,-O2,--disable-new-dtags,-rpath,'/a/very/long/path/shared_tail'");
    const std::string bytes = read_file(path_);
    // Only if the linker merged them: the name stands once in .dynstr (and once more in .strtab, behind it).
    const std::size_t at = bytes.find("shared_tail");
    ASSERT_EQ(bytes.compare(at - 18, 18, "/a/very/long/path/"), 0) << "this linker does not merge suffixes";
  }
  std::string edited(const std::string& rpath, const ElfEditOptions& options = {}) const {
    return patched(
        path_, plan_edit(ElfFile(path_), {.rpath = rpath, .rpath_tag = RpathTag::kRpath, .interpreter = {}}, options));
  }
  TemporaryFolder folder_;
  std::string path_;
};

TEST_F(MergedNames, KeepTheirBytesWhereTheNewPathFitsBeforeThem) {
  const std::string bytes = edited("$ORIGIN/../lib/17");  // 17 bytes and a NUL
  EXPECT_EQ(bytes.size(), read_file(path_).size());
  EXPECT_EQ(describe(ElfFile(folder_.write("x", bytes))).rpath, "$ORIGIN/../lib/17");
  EXPECT_NE(bytes.find(std::string("$ORIGIN/../lib/17\0shared_tail", 29)), bytes.npos);
}

TEST_F(MergedNames, AreNeverOverwritten) {
  const std::string longer = "$ORIGIN/../lib/018";  // would need the first byte of the name
  const auto result = thrown_by([&] { edited(longer, {.placement = ElfPlacement::kInPlace}); });
  EXPECT_EQ(result.kind, ErrorKind::kCannotPack);
  EXPECT_TRUE(result.says("because the name 'shared_tail' shares its bytes")) << result.message;
  const std::string bytes = edited(longer);
  EXPECT_GT(bytes.size(), read_file(path_).size());
  EXPECT_EQ(describe(ElfFile(folder_.write("x", bytes))).rpath, longer);
  EXPECT_EQ(bytes.find("/a/very/long/path"), bytes.npos) << "the old path is still in the file";
  EXPECT_NE(bytes.find(std::string("\0shared_tail", 12)), bytes.npos);
}

TEST(ElfEdit, ReplacesTheInterpreterAndKeepsItsNul) {
  const TemporaryFolder folder;
  const auto path = folder.program("program", "-Wl,--dynamic-linker,/lib64/////////////////ld-linux-x86-64.so.2");
  const ElfEdit edit =
      plan_edit(ElfFile(path), {.rpath = {}, .rpath_tag = RpathTag::kRpath, .interpreter = "/opt/ld.so"});
  EXPECT_EQ(ElfFile(folder.write("edited", patched(path, edit))).interpreter(), "/opt/ld.so");
  EXPECT_TRUE(thrown_by([&] {
                plan_edit(ElfFile(path),
                          {.rpath = {}, .rpath_tag = RpathTag::kRpath, .interpreter = std::string(200, 'x')},
                          {.placement = ElfPlacement::kInPlace});
              }).says("its room is"));
}

// Of two paths the loader obeys one: none may be left to contradict the other, nor tell where the file was built.
TEST(ElfEdit, LeavesOneOfTwoPathEntries) {
  const TemporaryFolder folder;
  const auto path = folder.library("libuser.so.2", "-Wl,--disable-new-dtags,-rpath,/build/one:/build/two,-z,origin");
  std::string bytes = read_file(path);
  const ElfFile before(path);
  // A second entry: the empty one behind the last becomes a DT_RUNPATH to the second half of the same text.
  const auto held = before.entry(DT_RPATH);
  ASSERT_TRUE(held.has_value());
  const Elf64_Dyn second{.d_tag = DT_RUNPATH, .d_un = {.d_val = held->value + 11}};
  std::memcpy(bytes.data() + before.dynamic().back().file_offset + sizeof second, &second, sizeof second);
  const auto both = folder.write("both.so", bytes);
  ASSERT_EQ(describe(ElfFile(both)).rpath, "/build/one:/build/two");
  ASSERT_EQ(describe(ElfFile(both)).runpath, "/build/two");
  for (const ElfPlacement placement : {ElfPlacement::kInPlace, ElfPlacement::kNewHeaders}) {
    const std::string result =
        patched(both, plan_edit(ElfFile(both), {.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRunpath, .interpreter = {}},
                                {.placement = placement}));
    const ElfFile edited(folder.write("edited.so", result));
    EXPECT_EQ(describe(edited).runpath, "$ORIGIN");
    EXPECT_EQ(describe(edited).rpath, std::nullopt);
    EXPECT_EQ(edited.dynamic().size(), before.dynamic().size());
    EXPECT_EQ(edited.strings(DT_SONAME), before.strings(DT_SONAME));
    EXPECT_EQ(result.find("/build/"), result.npos);
  }
}

TEST(ElfEdit, RefusesTheLoaderAndStaticPie) {
  const TemporaryFolder folder;
  const ElfWant want{.rpath = "$ORIGIN", .rpath_tag = RpathTag::kRpath, .interpreter = {}};
  const auto pie = folder.program("program", "-static-pie");
  EXPECT_TRUE(thrown_by([&] { plan_edit(ElfFile(pie), want); }).says("it is linked statically"));
  const auto loader = folder.library("ld-linux-x86-64.so.2");
  EXPECT_TRUE(thrown_by([&] { plan_edit(ElfFile(loader), want); }).says("it is the dynamic loader"));
}

// Sources that give their bytes in any portions, and a tail that copies from the original.
TEST(EditedFile, ReadsTheSameWhateverTheWindows) {
  const TemporaryFolder folder;
  const ElfEdit edit{.patches = {{3, "abcd", "WXYZ"}, {9, "q", "!"}},
                     .tail = {{.bytes = "tail:"}, {.copy_offset = 1, .copy_size = 4}, {.bytes = "."}},
                     .original_size = 10};
  const EditedFile edited(std::make_shared<const InputFile>(folder.write("x", "012abcd78q")), edit);
  ASSERT_EQ(edited.size(), 20U);
  for (std::size_t window = 1; window <= 21; ++window) {
    std::string bytes;
    for (std::string part(window, '\0');;) {
      const std::size_t count = edited.read_some(bytes.size(), std::as_writable_bytes(std::span(part)));
      if (count == 0) break;
      bytes.append(part, 0, count);
    }
    EXPECT_EQ(bytes, "012WXYZ78!tail:12ab.") << window;
  }
}

}  // namespace
}  // namespace holdall::packer
