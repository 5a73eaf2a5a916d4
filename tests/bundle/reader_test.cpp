#include "bundle/reader.h"

#include <algorithm>
#include <fstream>

#include "bundle/byte_order.h"
#include "bundle/tar_stream.h"
#include "tests/bundle/forgery.h"

namespace holdall::bundle {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::vector<Member> few_members() {
  return {{"bin", EntryType::kDirectory, {}},
          {"bin/run", EntryType::kRegular, "#!/bin/sh\n", true},
          {"bin/link", EntryType::kSymlink, "run"},
          {"data", EntryType::kRegular, noise(700, 5)},
          {"zeros", EntryType::kRegular, std::string(2000, '\0')}};
}

// Everything that a program may find wrong, reading all there is. Empty: nothing.
std::string first_fault(const Bytes& archive) {
  try {
    const Reader reader = open_bytes(archive);
    const VerifyReport report = verify(reader, 1);
    return report.ok() ? "" : report.faults.front();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadBundle) << error.what();
    return error.what();
  }
}

// Counts what is read.
class Counting final : public RandomAccess {
 public:
  explicit Counting(Bytes archive) : memory_(std::move(archive)) {}
  std::uint64_t size() const override { return memory_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    ++reads;
    bytes += out.size();
    memory_.read_at(offset, out);
  }
  mutable int reads = 0;
  mutable std::size_t bytes = 0;

 private:
  Memory memory_;
};

TEST(Reader, OpensWithTwoReadsAndGetsTheTocFromTheSecond) {
  const auto archive = std::make_shared<Counting>(pack(varied_members()).archive);
  const Reader reader = Reader::open(archive);
  EXPECT_EQ(reader.info().name, "sample");
  EXPECT_EQ(archive->reads, 2);
  EXPECT_EQ(archive->bytes, 2 * kPreflightBytes);
  EXPECT_GT(reader.toc().entries.size(), 10u);
  EXPECT_EQ(archive->reads, 2);
}

TEST(Reader, ReadsBundleJsonFromTheFirstBytesAlone) {
  Bytes head = pack(varied_members()).archive;
  head.resize(kPreflightBytes);
  EXPECT_EQ(read_bundle_info(head).version, "1.0.0");
}

TEST(Reader, NamesTheReleaseAfterItsTableOfContents) {
  const Packed packed = pack(few_members());
  const Reader reader = open_bytes(packed.archive);
  EXPECT_EQ(reader.release_id(), "sample-1.0.0-" + to_hex(packed.summary.toc_digest).substr(0, 12));
  EXPECT_EQ(reader.toc_digest(),
            sha256(std::span(packed.archive).subspan(packed.summary.toc_offset, packed.summary.toc_size)));
}

TEST(Reader, ReadsFilesAndRefusesThoseItHasNot) {
  const Reader reader = open_bytes(pack(few_members()).archive);
  EXPECT_EQ(reader.read_file("bin/run"), "#!/bin/sh\n");
  error_of(ErrorKind::kNotFound, [&] { reader.read_file("bin/walk"); });
  error_of(ErrorKind::kNotFound, [&] { reader.read_file("bin"); });
  EXPECT_THAT(error_of(ErrorKind::kBadBundle, [&] { reader.read_file("data", 699); }), HasSubstr("at most 699"));
}

TEST(Reader, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  error_of(ErrorKind::kNotFound, [&] { open_file(folder.path() / "none"); });
  error_of(ErrorKind::kBadBundle, [&] { open_file(folder.path()); });
  std::ofstream(folder.path() / "empty").close();
  error_of(ErrorKind::kBadBundle, [&] { Reader::open(open_file(folder.path() / "empty")); });
}

TEST(Reader, RefusesEveryTruncation) {
  const Bytes archive = pack(few_members()).archive;
  ASSERT_EQ(first_fault(archive), "");
  for (std::size_t size = 0; size < archive.size(); ++size) {
    EXPECT_NE(first_fault({archive.begin(), archive.begin() + static_cast<std::ptrdiff_t>(size)}), "") << size;
  }
}

// A zstd block has a few bits that mean nothing (RFC 8878, 3.1.1.3.2.1: reserved), so a change may be one of form only.
TEST(Reader, NoticesEveryChangeOfAByteThatMeansSomething) {
  Bytes archive = pack(few_members()).archive;
  const std::string toc = to_json(open_bytes(archive).toc());
  std::size_t unnoticed = 0;
  for (std::size_t at = 0; at < archive.size(); ++at) {
    for (const std::byte change : {std::byte(1 << (at % 8)), std::byte{0xFF}}) {
      archive[at] ^= change;
      if (first_fault(archive).empty()) {
        ++unnoticed;
        const Reader reader = open_bytes(archive);
        EXPECT_EQ(to_json(reader.toc()), toc) << at;
        EXPECT_EQ(to_json(reader.info()), to_json(small_info())) << at;
      }
      archive[at] ^= change;
    }
  }
  EXPECT_LE(unnoticed, archive.size() / 100);
  EXPECT_EQ(first_fault(archive), "");
}

TEST(Reader, RefusesBytesBeforeOrBehind) {
  Bytes archive = pack(few_members()).archive;
  archive.insert(archive.begin(), 16, std::byte{0});
  EXPECT_NE(first_fault(archive), "");
  archive.erase(archive.begin(), archive.begin() + 16);
  archive.resize(archive.size() + 16);
  EXPECT_NE(first_fault(archive), "");
}

TEST(Reader, RefusesASeekTableThatIsLargerThanTheArchive) {
  Bytes archive = pack(few_members()).archive;
  for (std::size_t i = 0; i < 4; ++i) archive[archive.size() - 9 + i] = std::byte{0xFF};
  EXPECT_THAT(first_fault(archive), HasSubstr("4294967295 frames"));
}

TEST(Reader, RefusesAFrameWhoseChecksumIsNotTheSeekTables) {
  const Bytes archive = pack(few_members()).archive;
  const std::uint64_t frames = open_bytes(archive).footer().frames;
  for (std::uint64_t frame = 0; frame + 2 < frames; ++frame) {
    Bytes changed = archive;
    changed[changed.size() - 9 - 12 * (frames - frame) + 8] ^= std::byte{1};
    EXPECT_THAT(first_fault(changed), HasSubstr("checksum differs from the seek table's")) << frame;
  }
}

TEST(Verify, AcceptsAnUnchangedForgery) {
  EXPECT_EQ(first_fault(forge(pack(few_members()).archive, kNoFrames, kNoToc)), "");
}

TEST(Verify, NoticesATarStreamThatDiffersFromARightToc) {
  const Bytes archive = pack(few_members()).archive;
  EXPECT_THAT(first_fault(forge(archive, kNoFrames, [](Toc& toc) { find(toc, "data").path = "date"; })),
              HasSubstr("'date': the tar stream has 'data' in its place"));
  EXPECT_THAT(first_fault(forge(archive, kNoFrames, [](Toc& toc) { find(toc, "bin/run").executable = false; })),
              HasSubstr("'bin/run': mode differs"));
  EXPECT_THAT(first_fault(forge(archive, kNoFrames, [](Toc& toc) { find(toc, "bin/link").link_target = "link2"; })),
              HasSubstr("'bin/link': link target differs"));
  EXPECT_THAT(first_fault(forge(archive, kNoFrames, [](Toc& toc) { toc.entries.pop_back(); })), HasSubstr("tar"));
  EXPECT_THAT(first_fault(forge(archive, kNoFrames,
                                [](Toc& toc) {
                                  toc.entries.push_back(entry_of({"z", EntryType::kDirectory, {}}));
                                })),
              HasSubstr("'z': the tar stream ends before it"));
}

TEST(Verify, NoticesAMemberThatOnlyTheTarStreamHas) {
  const Bytes archive = pack(few_members()).archive;
  EXPECT_THAT(first_fault(forge(
                  archive,
                  [](std::vector<Bytes>& frames) {
                    Bytes& last = frames.back();
                    const Bytes header(frames[0].begin(), frames[0].begin() + 512);
                    last.insert(last.end() - 1024, header.begin(), header.end());
                  },
                  kNoToc)),
              HasSubstr("members that the TOC does not list"));
}

TEST(Verify, NoticesPaddingThatCarriesBytes) {
  const Bytes archive = pack(few_members()).archive;
  EXPECT_THAT(first_fault(forge(
                  archive, [](std::vector<Bytes>& frames) { frames[2][0] = std::byte{1}; }, kNoToc)),
              HasSubstr("'holdall/bundle.json': padding is not zero"));
}

TEST(Verify, NoticesZerosThatAreNone) {
  const Bytes archive = pack(few_members()).archive;
  EXPECT_EQ(first_fault(forge(archive, kNoFrames, [](Toc& toc) { find(toc, "data").chunks[0].zeros = true; })),
            "data: chunk at 0: it is not all zeros");
}

TEST(Verify, NoticesADigestThatIsNotTheFiles) {
  const Bytes archive = pack({{"large", EntryType::kRegular, noise(5'000'000, 3)}}).archive;
  EXPECT_EQ(first_fault(forge(archive, kNoFrames,
                              [](Toc& toc) {
                                for (Entry& entry : toc.entries) {
                                  if (entry.chunks.size() > 1) entry.digest = {};
                                }
                              })),
            "large: digest differs");
}

TEST(Verify, ListsEveryFaultInTheArchivesOrder) {
  Bytes archive = pack(few_members()).archive;
  const Toc toc = open_bytes(archive).toc();
  for (const Entry& entry : toc.entries) {
    if (entry.path == "data" || entry.path == "bin/run")
      archive[entry.chunks[0].frame_offset + entry.chunks[0].frame_size - 1] ^= std::byte{1};
  }
  const VerifyReport report = verify(open_bytes(archive), 3);
  ASSERT_EQ(report.faults.size(), 2u);
  EXPECT_THAT(report.faults[0], HasSubstr("bin/run: chunk at 0: "));
  EXPECT_THAT(report.faults[1], HasSubstr("data: chunk at 0: "));
  EXPECT_EQ(report.files, 4u);
}

TEST(Reader, RefusesATocThatIsNotTheSeekTables) {
  const Bytes archive = pack(few_members()).archive;
  EXPECT_THAT(first_fault(forge(archive, kNoFrames, [](Toc& toc) { find(toc, "data").chunks[0].frame_offset += 1; })),
              HasSubstr("not a frame of the seek table"));
  EXPECT_THAT(first_fault(forge(archive, kNoFrames, [](Toc& toc) { find(toc, "zeros").chunks[0].frame_size += 1; })),
              HasSubstr("not a frame of the seek table"));
}

TEST(Reader, RefusesATocThatDoesNotBeginWithBundleJson) {
  const Bytes archive = pack(few_members()).archive;
  EXPECT_THAT(first_fault(forge(archive, kNoFrames, [](Toc& toc) { toc.entries[0].path = "holdall/other.json"; })),
              HasSubstr("'holdall/bundle.json' is not its first entry"));
}

}  // namespace
}  // namespace holdall::bundle
