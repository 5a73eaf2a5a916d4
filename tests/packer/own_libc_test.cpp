#include "packer/own_libc.h"

#include <gtest/gtest.h>

#include "packer/closure.h"
#include "packer/elf_file.h"
#include "packer/input_file.h"
#include "packer/packed_file.h"

namespace holdall::packer {
namespace {

constexpr const char* kThisProgram = "/proc/self/exe";

ElfWant want_for(const std::string& input, const std::string& bundle_path) {
  ElfWant want;
  want_own_libc(want, std::make_shared<const InputFile>(input), bundle_path);
  return want;
}

TEST(OwnLibc, GivesAProgramRoomForItsLoadersPathAndAWayIntoTheBundle) {
  const ElfWant want = want_for(kThisProgram, "tools/bin/program");
  ASSERT_TRUE(want.interpreter && want.rpath);
  const std::string held = *ElfFile(kThisProgram).interpreter();
  EXPECT_EQ(*want.interpreter, std::string(1024, '/') + held);
  EXPECT_TRUE(want.rpath->ends_with("$ORIGIN/../../lib")) << *want.rpath;
  EXPECT_EQ(want.rpath_tag, RpathTag::kRpath);
}

TEST(OwnLibc, KeepsALibraryPathThatLeadsIntoTheBundle) {
  ElfWant want{.rpath = "$ORIGIN/../lib", .interpreter = {}};
  want_own_libc(want, std::make_shared<const InputFile>(kThisProgram), "bin/program");
  EXPECT_EQ(want.rpath, "$ORIGIN/../lib");
  want.rpath = "$ORIGIN/../../outside";
  want_own_libc(want, std::make_shared<const InputFile>(kThisProgram), "bin/program");
  EXPECT_EQ(want.rpath, "$ORIGIN/../../outside:$ORIGIN/../lib");
}

TEST(OwnLibc, LeavesAloneWhatNoLoaderStartsAndWhatIsNvidias) {
  EXPECT_FALSE(want_for("/etc/passwd", "bin/data").interpreter);
  EXPECT_FALSE(want_for(kThisProgram, "lib/python3/site-packages/triton/backends/nvidia/bin/tool").interpreter);
  EXPECT_FALSE(want_for(kThisProgram, "bin/ptxas").interpreter);
  // libc.so.6 can be run, and is a library.
  for (const std::string& folder : system_library_folders()) {
    const std::string libc = folder + "/libc.so.6";
    if (has_elf_magic(libc)) {
      EXPECT_FALSE(want_for(libc, "lib/libc.so.6").interpreter) << libc;
    }
  }
}

TEST(OwnLibc, RecordsTheRoomOfAnEditedProgram) {
  PlannedMember member;
  member.entry.path = "bin/program";
  member.source = kThisProgram;
  member.entry.size = InputFile(kThisProgram).size();
  record_loader_room(member, {});
  EXPECT_TRUE(member.entry.relocations.empty());  // it has none

  member.change().edit = plan_edit(ElfFile(kThisProgram), want_for(kThisProgram, "bin/program"));
  member.entry.size = member.special().edit->size();
  record_loader_room(member, {});
  ASSERT_EQ(member.entry.relocations.size(), 1U);
  const bundle::Relocation& record = member.entry.relocations.front();
  EXPECT_EQ(record.kind, bundle::RelocationKind::kInterpreter);
  EXPECT_EQ(record.length, 1024U);
  std::string bytes(record.length + 2, '\0');
  packed_file(member).bytes->read_some(record.offset, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, std::string(1025, '/') + "l");
  EXPECT_TRUE(member.expected.has_value());
}

}  // namespace
}  // namespace holdall::packer
