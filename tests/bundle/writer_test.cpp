#include "bundle/writer.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <map>
#include <thread>

#include "bundle/frame.h"
#include "bundle/limits.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

TEST(Writer, RoundTripsEveryKindOfMember) {
  const std::vector<Member> members = varied_members();
  const Packed packed = pack(members);
  const Reader reader = open_bytes(packed.archive);
  const Toc& toc = reader.toc();
  ASSERT_EQ(toc.entries.size(), members.size() + 1);
  EXPECT_EQ(toc.entries[0].path, "holdall/bundle.json");
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Entry& entry = toc.entries[i + 1];
    EXPECT_EQ(entry.path, members[i].path);
    EXPECT_EQ(entry.type, members[i].type);
    EXPECT_EQ(entry.executable, members[i].executable);
    const bool file = entry.type == EntryType::kRegular;
    const std::string contents = file ? reader.read_file(entry.path, 1 << 24) : entry.link_target;
    EXPECT_TRUE(contents == members[i].contents) << entry.path;
  }
  EXPECT_EQ(verify(reader, 2).faults, std::vector<std::string>());
}

TEST(Writer, GivesTheSameBytesWhateverTheThreadCount) {
  const auto members = varied_members();
  const Bytes one = pack(members, {.threads = 1}).archive;
  EXPECT_TRUE(pack(members, {.threads = 2}).archive == one);
  EXPECT_TRUE(pack(members, {.threads = 4}).archive == one);
}

TEST(Writer, DigestOfASmallBundleIsPinned) {
  const Packed packed = pack({{"bin", EntryType::kDirectory, {}},
                              {"bin/hello", EntryType::kRegular, "#!/bin/sh\necho hello\n", true},
                              {"data", EntryType::kRegular, noise(100'000, 1)},
                              {"link", EntryType::kSymlink, "bin/hello"}});
  // The uncompressed bytes are ours and libarchive's; the compressed ones also depend on libzstd's version.
  Sha256 tar;
  const Reader reader = open_bytes(packed.archive);
  std::vector<std::byte> scratch;
  for (const Frame& frame : reader.frames()) {
    Bytes content(frame.content);
    reader.read_frame(frame, scratch, content);
    tar.update(content);
  }
  EXPECT_EQ(to_hex(tar.finish()), "f1c0e2147b4100c6d9f88721cbd4778cc0932ab44767afb55338929f7e97c913");
}

TEST(Writer, DigestsTheArchiveIfAsked) {
  const std::vector<Member> members{{"data", EntryType::kRegular, noise(3'000'000, 1)}};
  EXPECT_EQ(pack(members).summary.archive_digest, std::nullopt);
  const Packed packed = pack(members, {.threads = 2, .archive_digest = ArchiveDigest::kCompute});
  EXPECT_EQ(packed.summary.archive_digest, sha256(packed.archive));
}

TEST(Writer, SummaryDescribesTheArchive) {
  const Packed packed = pack({{"a", EntryType::kRegular, "12345"}, {"b", EntryType::kRegular, ""}});
  EXPECT_EQ(packed.summary.archive_bytes, packed.archive.size());
  EXPECT_EQ(packed.summary.files, 3u);
  EXPECT_EQ(packed.summary.bytes, 5 + to_json(small_info()).size());
  EXPECT_EQ(packed.summary.frames, open_bytes(packed.archive).footer().frames);
}

// The layout of zstd's seekable format, read by hand: facebook/zstd, contrib/seekable_format.
TEST(Writer, SeekTableLeadsToEveryFrame) {
  const Bytes archive = pack(varied_members()).archive;
  const auto u32 = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(archive[at + i]);
    return value;
  };
  const std::size_t end = archive.size();
  ASSERT_EQ(u32(end - 4), 0x8F92EAB1u);
  ASSERT_EQ(archive[end - 5], std::byte{0x80});
  const std::size_t frames = u32(end - 9), table = end - 17 - 12 * frames;
  EXPECT_EQ(u32(table), 0x184D2A5Eu);
  EXPECT_EQ(u32(table + 4), 12 * frames + 9);
  std::size_t at = 0;
  for (std::size_t i = 0; i < frames; ++i) {
    const std::size_t entry = table + 8 + 12 * i;
    const bool skippable = i + 2 >= frames;
    EXPECT_EQ(u32(at), skippable ? 0x184D2A50u : 0xFD2FB528u) << i;
    if (skippable) {
      EXPECT_EQ(u32(entry), u32(at + 4) + 8) << i;
      EXPECT_EQ(u32(entry + 4), 0u) << i;
      EXPECT_EQ(u32(entry + 8), 0x51D8E999u) << i;
    } else {
      EXPECT_EQ(u32(at + u32(entry) - 4), u32(entry + 8)) << i;  // the frame's own checksum
    }
    at += u32(entry);
  }
  EXPECT_EQ(at, table);
}

// It is made in pieces.
TEST(Writer, TocOfManyMembersIsWhole) {
  std::vector<Member> members;
  for (int i = 0; i < 3000; ++i) members.push_back({std::to_string(i), EntryType::kRegular, std::to_string(i)});
  const Packed packed = pack(members);
  const Reader reader = open_bytes(packed.archive);
  ASSERT_EQ(reader.toc().entries.size(), members.size() + 1);
  EXPECT_EQ(to_json(reader.toc()).size(), packed.summary.toc_uncompressed_size);
  EXPECT_GT(packed.summary.toc_uncompressed_size, 600'000u);
  EXPECT_EQ(reader.toc_digest(), packed.summary.toc_digest);
}

TEST(Writer, FooterIsZstdChunkeds) {
  const Packed packed = pack({});
  const std::size_t frames = packed.summary.frames, footer = packed.archive.size() - (17 + 12 * frames) - 64;
  const auto u64 = [&](std::size_t index) {
    std::uint64_t value = 0;
    std::memcpy(&value, packed.archive.data() + footer + 8 * index, 8);
    return value;
  };
  EXPECT_EQ(u64(0), packed.summary.toc_offset);
  EXPECT_EQ(u64(1), packed.summary.toc_size);
  EXPECT_EQ(u64(2), packed.summary.toc_uncompressed_size);
  EXPECT_EQ(u64(3), 1u);
  EXPECT_EQ(u64(4) | u64(5) | u64(6), 0u);
  EXPECT_EQ(std::memcmp(packed.archive.data() + footer + 56, "GNUlInUx", 8), 0);
}

TEST(Writer, MarksChunksOfZeros) {
  const Packed packed = pack({{"sparse", EntryType::kRegular, std::string(5'000'000, '\0') + "end"}});
  const Reader reader = open_bytes(packed.archive);
  const auto& chunks = reader.toc().entries[1].chunks;
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_TRUE(chunks[0].zeros);
  EXPECT_FALSE(chunks[1].zeros);
}

TEST(Writer, PutsBundleJsonBelowARootFolder) {
  WriterOptions options;
  options.root = "env/inner";
  const Packed packed = pack({{"env/inner/file", EntryType::kRegular, "x"}}, options);
  const Reader reader = open_bytes(packed.archive);
  EXPECT_EQ(reader.toc().entries[0].path, "env/inner/holdall/bundle.json");
  EXPECT_EQ(reader.info().name, "sample");
}

TEST(Writer, GivesEveryMemberItsMtime) {
  WriterOptions options;
  options.mtime = 1'700'000'000;
  EXPECT_NE(pack({}, options).archive, pack({}).archive);
  options.mtime = -1;
  error_of(ErrorKind::kInternal, [&] { pack({}, options); });
}

TEST(Writer, RefusesWhatReadersWouldRefuse) {
  using enum EntryType;
  const auto refusal = [](const std::vector<Member>& members) {
    return error_of(ErrorKind::kCannotPack, [&] { pack(members); });
  };
  EXPECT_EQ(refusal({{"../x", kRegular, "x"}}), "cannot pack '../x': it has a '..' component");
  EXPECT_EQ(refusal({{"a", kRegular, "x"}, {"a", kRegular, "y"}}), "cannot pack 'a': it is listed twice");
  EXPECT_EQ(refusal({{"d/x", kRegular, "x"}}), "cannot pack 'd/x': it comes without its folder 'd' before it");
  EXPECT_EQ(refusal({{"\xFF", kRegular, "x"}}), "cannot pack '\xFF': it is not UTF-8");
  EXPECT_EQ(refusal({{"l", kSymlink, "../x"}}), "cannot pack: link 'l' to '../x' leads out of the tree");
}

TEST(Writer, NoticesAFileThatChangesWhileItIsRead) {
  const auto add = [](std::size_t claimed) {
    Writer writer(small_info(), {}, [](std::span<const std::byte>) {});
    Entry entry = entry_of({"grows", EntryType::kRegular, {}});
    entry.size = claimed;
    writer.add(entry, source_of("12345"));
  };
  add(5);
  EXPECT_THAT(error_of(ErrorKind::kInternal, [&] { add(6); }), ::testing::HasSubstr("'grows': it ended 1 bytes early"));
  EXPECT_THAT(error_of(ErrorKind::kInternal, [&] { add(4); }),
              ::testing::HasSubstr("'grows': it has more than 4 bytes"));
}

TEST(Writer, PassesOnWhatTheSinkThrows) {
  std::size_t written = 0;
  Writer writer(small_info(), {}, [&](std::span<const std::byte> data) {
    if ((written += data.size()) > 1'000'000) throw Error(ErrorKind::kStorage, "no space");
  });
  const std::string contents = noise(2'000'000, 1);
  EXPECT_EQ(error_of(ErrorKind::kStorage,
                     [&] {
                       for (int i = 0; i < 50; ++i) {
                         writer.add(entry_of({std::to_string(i), EntryType::kRegular, contents}), source_of(contents));
                       }
                       writer.finish();
                     }),
            "no space");
}

TEST(Writer, PassesOnWhatASourceThrows) {
  Writer writer(small_info(), {}, [](std::span<const std::byte>) {});
  Entry entry = entry_of({"unreadable", EntryType::kRegular, "x"});
  EXPECT_EQ(error_of(ErrorKind::kStorage,
                     [&] {
                       writer.add(entry,
                                  [](std::span<std::byte>) -> std::size_t { throw Error(ErrorKind::kStorage, "EIO"); });
                     }),
            "EIO");
}

TEST(Writer, RefusesInfoThatReadersWouldRefuse) {
  BundleInfo info = small_info();
  info.name = "a/b";
  error_of(ErrorKind::kBadBundle, [&] { pack({}, {}, info); });
}

std::size_t allocated() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Of a thread's 64 MiB, slabs and other buffers take 25, and the frame that is waited for 4.
TEST(Writer, HasRoomForTheEncoderOfEveryLevel) {
  if (std::string_view(HOLDALL_SANITIZERS) != "") GTEST_SKIP() << "sanitizers have an allocator of their own";
  const Bytes content(kMaxFrameContent);
  Bytes frame(FrameEncoder::bound(content.size()));
  for (int level = 1; level <= 19; ++level) {
    const std::size_t before = allocated();
    FrameEncoder encoder(level);
    encoder.encode(content, frame);
    EXPECT_LE(allocated() - before, FrameEncoder::memory(level) + 65536) << "level " << level;
    EXPECT_LE(FrameEncoder::memory(level), std::size_t{35} << 20) << "level " << level;
  }
}

// A sink that stands still must hold up the source, not fill the memory; not even with what compresses to nothing.
TEST(Writer, NeedsAtMost64MiBPerThread) {
  if (std::string_view(HOLDALL_SANITIZERS) != "") GTEST_SKIP() << "sanitizers have an allocator of their own";
  constexpr std::uint64_t kSize = 1'000'000'000;
  struct Case {
    int level;
    bool compressible;
  };
  for (const Case& tried : {Case{3, false}, Case{3, true}, Case{13, false}}) {
    const std::string zeros(1 << 20, '\0');
    const std::size_t before = allocated();
    std::atomic<bool> open = false;
    std::atomic<std::uint64_t> given = 0;
    std::size_t needed = 0;
    Writer writer(small_info(), {.level = tried.level, .threads = 1},
                  [&](std::span<const std::byte>) { open.wait(false); });
    std::jthread observer([&] {  // opens the sink once the source has given, and a thread done, nothing for a while
      std::uint64_t last = 0;
      std::clock_t busy = 0;
      do {
        last = given;
        busy = std::clock();
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
      } while (last == 0 || given != last || std::clock() - busy > CLOCKS_PER_SEC / 100);
      needed = allocated() - before;
      open = true;
      open.notify_all();
    });
    Entry entry = entry_of({"large", EntryType::kRegular, {}});
    entry.size = kSize;
    const auto source = [&](std::span<std::byte> out) {
      if (open) throw Error(ErrorKind::kInterrupted, "seen enough");
      const std::size_t size = std::min<std::uint64_t>({out.size(), kSize - given, zeros.size()});
      std::memcpy(out.data(), (tried.compressible ? zeros : noise(size, given)).data(), size);
      given += size;
      return size;
    };
    error_of(ErrorKind::kInterrupted, [&] { writer.add(entry, source); });
    observer.join();
    EXPECT_LT(given, kSize) << "the sink did not hold up the source";
    EXPECT_LE(needed, std::size_t{64} << 20) << "level " << tried.level << ", compressible: " << tried.compressible;
  }
}

}  // namespace
}  // namespace holdall::bundle
