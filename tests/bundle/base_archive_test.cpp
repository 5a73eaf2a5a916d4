#include "bundle/base_archive.h"

#include <set>

#include "tests/bundle/forgery.h"

namespace holdall::bundle {
namespace {

using namespace testing;

WriterOptions with_base(const Bytes& base) {
  WriterOptions options{.threads = 2};
  options.base = std::make_shared<BaseArchive>(std::make_shared<Memory>(base));
  return options;
}

// Before and after one of three files has changed.
std::vector<Member> release(const std::string& patch) {
  std::string large = noise(6'000'000, 1);
  large.replace(3'000'000, patch.size(), patch);
  return {{"large", EntryType::kRegular, large},
          {"small", EntryType::kRegular, "the same"},
          {"zeros", EntryType::kRegular, std::string(5'000'000, '\0')}};
}

TEST(BaseArchive, GivesTheArchiveThatPackingWithoutItGives) {
  const Bytes old = pack(release("")).archive;
  const Packed plain = pack(release("patched")), copied = pack(release("patched"), with_base(old));
  EXPECT_TRUE(copied.archive == plain.archive);
  EXPECT_EQ(plain.summary.copied.frames, 0u);
  EXPECT_EQ(copied.summary.copied.broken, 0u);
  EXPECT_GT(copied.summary.copied.bytes, 6'000'000u);
  EXPECT_LT(copied.summary.copied.bytes, 11'000'000u);  // not the chunk with the patch
}

TEST(BaseArchive, FindsAChunkWhereverItStood) {
  const std::string same = noise(100'000, 7);
  const Bytes old = pack({{"a", EntryType::kRegular, same}}).archive;
  const std::vector<Member> moved{{"b", EntryType::kRegular, "new"}, {"c", EntryType::kRegular, same}};
  const Packed packed = pack(moved, with_base(old));
  EXPECT_EQ(packed.summary.copied.frames, 2u);  // and bundle.json
  EXPECT_TRUE(packed.archive == pack(moved).archive);
}

TEST(BaseArchive, SaysWhatMadeIt) {
  BundleInfo info = small_info();
  EXPECT_EQ(BaseArchive(std::make_shared<Memory>(pack({}, {}, info).archive)).encoding(), "");
  info.build[kFrameEncodingKey] = frame_encoding(3);
  EXPECT_EQ(BaseArchive(std::make_shared<Memory>(pack({}, {}, info).archive)).encoding(), frame_encoding(3));
}

TEST(FrameEncoding, NamesAllThatDecides) {
  std::set<std::string> names;
  for (int level = 1; level <= 19; ++level) names.insert(frame_encoding(level));
  EXPECT_EQ(names.size(), 19u);
  EXPECT_THAT(frame_encoding(3), ::testing::HasSubstr(" level 3 window 22 chain 16 hash 16"));
}

// An archive that is in order to the last checksum, and says of some content that it is another.
TEST(BaseArchive, DoesNotBelieveItsToc) {
  const std::string wanted = noise(50'000, 1), other = noise(50'000, 2);
  const Digest digest = sha256(std::as_bytes(std::span(wanted)));
  const Bytes old = forge(pack({{"file", EntryType::kRegular, other}}).archive, kNoFrames, [&](Toc& toc) {
    find(toc, "file").digest = digest;
    find(toc, "file").chunks[0].digest = digest;
  });
  const std::vector<Member> members{{"file", EntryType::kRegular, wanted}};
  const Packed packed = pack(members, with_base(old));
  EXPECT_EQ(packed.summary.copied.broken, 1u);
  EXPECT_TRUE(packed.archive == pack(members).archive);
}

TEST(BaseArchive, CopiesNoFrameWithABrokenBit) {
  const std::vector<Member> members{{"file", EntryType::kRegular, noise(50'000, 1)}};
  const Bytes good = pack(members).archive;
  const Chunk chunk = open_bytes(good).toc().entries[1].chunks[0];
  for (std::uint64_t at = 0; at < chunk.frame_size; at += at < 32 ? 1 : 997) {
    Bytes old = good;
    old[chunk.frame_offset + at] ^= std::byte{0x10};
    const Packed packed = pack(members, with_base(old));
    EXPECT_EQ(packed.summary.copied.broken, 1u) << at;
    EXPECT_TRUE(packed.archive == good) << at;
  }
}

// Other compression of the right bytes is no harm: who reads the archive gets the same.
TEST(BaseArchive, TakesTheRightBytesHoweverTheyAreCompressed) {
  const std::string text(300'000, 'w');
  const std::vector<Member> members{{"file", EntryType::kRegular, text}};
  WriterOptions strong{.level = 19, .threads = 1};
  const Packed packed = pack(members, with_base(pack(members, strong).archive));
  EXPECT_EQ(packed.summary.copied.broken, 0u);
  const Reader reader = open_bytes(packed.archive);
  EXPECT_EQ(verify(reader, 1).faults, std::vector<std::string>());
  EXPECT_TRUE(reader.read_file("file") == text);
}

// The largest frame that an encoder makes of a content bounds what is read of it.
TEST(BaseArchive, LeavesOutFramesThatNoEncoderMakes) {
  const std::string content = noise(1000, 1);
  const auto blocks_of_one_byte = [&](std::span<const std::byte> bytes) {
    Bytes frame = bytes_of(std::string_view("\x28\xB5\x2F\xFD\x64\xE8\x02", 7));  // 1000 bytes, less 256
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const bool last = i + 1 == bytes.size();
      for (const int byte : {8 | (last ? 1 : 0), 0, 0}) frame.push_back(static_cast<std::byte>(byte));
      frame.push_back(bytes[i]);
    }
    append_le(frame, xxh64_low32(bytes));
    return frame;
  };
  const std::vector<Member> members{{"file", EntryType::kRegular, content}};
  const Bytes good = pack(members).archive;
  const Bytes old = forge(good, kNoFrames, kNoToc, [&](std::span<const std::byte> bytes, const Bytes& frame) {
    return bytes.size() == content.size() ? blocks_of_one_byte(bytes) : frame;
  });
  EXPECT_EQ(verify(open_bytes(old), 1).faults, std::vector<std::string>());  // it is a bundle
  const Packed packed = pack(members, with_base(old));
  EXPECT_EQ(packed.summary.copied.broken, 0u);
  EXPECT_TRUE(packed.archive == good);
}

TEST(BaseArchive, CompressesWhatCannotBeRead) {
  class Failing final : public RandomAccess {
   public:
    explicit Failing(Bytes bytes) : memory_(std::move(bytes)) {}
    std::uint64_t size() const override { return memory_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
      if (fails) throw Error(ErrorKind::kStorage, "input/output error");
      memory_.read_at(offset, out);
    }
    bool fails = false;

   private:
    Memory memory_;
  };
  const std::vector<Member> members{{"file", EntryType::kRegular, noise(200'000, 1)}};
  const Bytes good = pack(members).archive;
  const auto archive = std::make_shared<Failing>(good);
  WriterOptions options{.threads = 2};
  options.base = std::make_shared<BaseArchive>(archive);
  archive->fails = true;
  const Packed packed = pack(members, options);
  EXPECT_EQ(packed.summary.copied.broken, 2u);  // bundle.json's, too
  EXPECT_TRUE(packed.archive == good);
}

// What add_known() needs of an archive.
struct Known {
  Bytes archive;
  std::vector<std::vector<KnownChunk>> chunks;  // of the entries
  std::deque<Entry> entries;
};
Known with_frame_digests(const std::vector<Member>& members) {
  Known known;
  WriterOptions options{.threads = 2};
  options.frame_digests = true;
  Writer writer(small_info(), options, [&](std::span<const std::byte> data) {
    known.archive.insert(known.archive.end(), data.begin(), data.end());
  });
  for (const Member& member : members) writer.add(entry_of(member), source_of(member.contents));
  writer.finish();
  std::size_t next = 0;
  writer.entries().for_each([&](const Entry& entry) {
    known.entries.push_back(entry);
    auto& chunks = known.chunks.emplace_back();
    for (const Chunk& chunk : entry.chunks)
      chunks.push_back({chunk.size, chunk.digest, chunk.zeros, writer.frame_digests()[next++]});
  });
  return known;
}

// Packs members 1 and 2 of `known`, the second without its bytes.
Bytes pack_known(const Known& known, const std::vector<Member>& members, const Bytes& base) {
  Bytes archive;
  Writer writer(small_info(), with_base(base),
                [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
  writer.add(entry_of(members[0]), source_of(members[0].contents));
  writer.add_known(known.entries[2], known.chunks[2]);
  writer.finish();
  return archive;
}

TEST(BaseArchive, GivesWhatIsKnownUnread) {
  const std::vector<Member> members{{"first", EntryType::kRegular, "x"},
                                    {"large", EntryType::kRegular, noise(5'000'001, 1) + std::string(5'000'000, '\0')}};
  const Known known = with_frame_digests(members);
  EXPECT_TRUE(pack_known(known, members, known.archive) == known.archive);
}

// Of a base that is as its writer left it, nothing is decoded or hashed: whoever copies it decides about the bytes.
TEST(BaseArchive, IsCopiedFromUnread) {
  const std::vector<Member> members{{"first", EntryType::kRegular, "x"},
                                    {"large", EntryType::kRegular, noise(5'000'001, 1) + std::string(5'000'000, '\0')}};
  const Known known = with_frame_digests(members);
  for (const ArchiveDigest digest : {ArchiveDigest::kSkip, ArchiveDigest::kCompute}) {
    Bytes archive;
    std::uint64_t copied = 0;
    WriterOptions options = with_base(known.archive);
    options.archive_digest = digest;
    options.copy_base = [&](std::uint64_t offset, std::uint64_t size) {
      const auto begin = known.archive.begin() + static_cast<std::ptrdiff_t>(offset);
      archive.insert(archive.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
      copied += size;
    };
    Writer writer(small_info(), options,
                  [&](std::span<const std::byte> data) { archive.insert(archive.end(), data.begin(), data.end()); });
    writer.add(entry_of(members[0]), source_of(members[0].contents));
    writer.add_known(known.entries[2], known.chunks[2]);
    const WriteSummary summary = writer.finish();
    EXPECT_TRUE(archive == known.archive);
    EXPECT_EQ(summary.copied.bytes, known.entries[0].size + 1 + 10'000'001);
    EXPECT_EQ(copied > 5'000'000, digest == ArchiveDigest::kSkip);
    EXPECT_EQ(summary.archive_digest.value_or(sha256(archive)), sha256(archive));
    error_of(ErrorKind::kBadBundle, [&] {
      std::vector<KnownChunk> other = known.chunks[2];
      other[0].digest = {};
      Writer refusing(small_info(), options, [](std::span<const std::byte>) {});
      refusing.add_known(known.entries[2], other);
      refusing.finish();
    });
  }
}

TEST(BaseArchive, GivesNoOtherFrameForWhatIsKnown) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i) + '\n';
  const std::vector<Member> members{{"first", EntryType::kRegular, "x"}, {"second", EntryType::kRegular, text}};
  const Known known = with_frame_digests(members);
  const auto refusal = [&](const Bytes& base) {
    return error_of(ErrorKind::kBadBundle, [&] { pack_known(known, members, base); });
  };
  Bytes damaged = known.archive;
  damaged[known.entries[2].chunks[0].frame_offset + 1000] ^= std::byte{1};
  EXPECT_THAT(refusal(damaged), ::testing::HasSubstr("'second'"));
  // The right bytes in another frame, and an archive that has none.
  EXPECT_THAT(refusal(pack(members, {.level = 1}).archive), ::testing::HasSubstr("pack without --base"));
  refusal(pack({}).archive);
  Known wrong = known;
  wrong.chunks[2].clear();
  error_of(ErrorKind::kInternal, [&] { pack_known(wrong, members, known.archive); });
}

TEST(BaseArchive, RefusesWhatIsNoBundle) {
  const Bytes good = pack(release("")).archive;
  const auto refusal = [](Bytes bytes) {
    return error_of(ErrorKind::kBadBundle, [&] { const BaseArchive base(std::make_shared<Memory>(std::move(bytes))); });
  };
  refusal({});
  refusal(bytes_of("not a bundle"));
  refusal({good.begin(), good.end() - 1});
  refusal({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.size() / 2)});
}

}  // namespace
}  // namespace holdall::bundle
