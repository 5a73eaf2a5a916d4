#include "bundle/elf_record.h"

#include "bundle/digest.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

// As a packer would edit `original`: two patches, the second where two chunks meet, and a tail.
struct Edited {
  std::string original = noise(9'000'000, 11), packed;
  ElfRecord record;
  std::size_t border = 0;

  Edited() {
    const auto before = open_bytes(pack({{"lib", EntryType::kRegular, original}}).archive);
    border = before.toc().entries.back().chunks.at(1).offset;
    packed = original + "appended";
    record = {.patches = {}, .original_size = original.size(), .original_digest = sha256(bytes_of(original))};
    replace(5, "first");
    replace(border - 3, "second");
  }
  void replace(std::size_t offset, const std::string& text) {
    record.patches.push_back({offset, original.substr(offset, text.size()), text});
    packed.replace(offset, text.size(), text);
  }
};

Bytes archive_of(const std::string& contents, const ElfRecord& record) {
  Bytes archive;
  Writer writer(small_info(), {.threads = 1},
                [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
  Entry entry;
  entry.path = "lib";
  entry.size = contents.size();
  entry.elf = record;
  writer.add(entry, source_of(contents));
  writer.finish();
  return archive;
}

TEST(ElfRecord, UndoesAnEditInAnyWindows) {
  const ElfRecord record{{{2, "ab", "XY"}, {6, "c", "!"}}, 8, Digest{}};
  const std::string packed = "01XY45!7tail";
  for (std::size_t window = 1; window <= packed.size(); ++window) {
    std::string undone;
    for (std::size_t at = 0; at < packed.size(); at += window) {
      std::string part = packed.substr(at, window);
      const auto kept = undo_edit(record, at, std::as_writable_bytes(std::span(part)));
      undone += part.substr(0, kept.size());
    }
    EXPECT_EQ(undone, "01ab45c7") << window;
  }
}

TEST(ElfRecord, IsVerifiedAgainstTheOriginalsDigest) {
  const Edited edited;
  EXPECT_EQ(verify(open_bytes(archive_of(edited.packed, edited.record)), 2).faults, std::vector<std::string>());
}

TEST(ElfRecord, ThatDoesNotLeadBackToTheOriginalIsAFault) {
  const auto fault = [](const Edited& edited) {
    const VerifyReport report = verify(open_bytes(archive_of(edited.packed, edited.record)), 1);
    return report.faults.size() == 1 ? report.faults.front() : "";
  };
  const std::string said = "lib: with its ELF edit undone, it has not the original's recorded digest";
  Edited patch;
  patch.record.patches[1].old_bytes[4] ^= 1;
  EXPECT_EQ(fault(patch), said);
  Edited size;
  size.record.original_size += 1;
  EXPECT_EQ(fault(size), said);
  Edited digest;
  digest.record.original_digest[0] ^= 1;
  EXPECT_EQ(fault(digest), said);
}

}  // namespace
}  // namespace holdall::bundle
