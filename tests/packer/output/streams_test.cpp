#include "packer/output/byte_stream.h"

#include <archive.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "packer/output/block_pipeline.h"

namespace holdall::packer {
namespace {

using Make = std::unique_ptr<ByteStream> (*)(const StreamOptions&, bundle::ByteSink);

struct Kind {
  const char* name;
  Make make;
  int level;
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) {
  return out << kind.name << kind.level;
}

// Compresses well in parts, and has a run that bzip2's first stage lengthens.
std::string text_of(std::size_t size) {
  std::string text;
  unsigned state = 1;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += state % 7 == 0 ? std::string(4, 'a') + static_cast<char>(state >> 24) : std::to_string(state >> 20);
  }
  text.resize(size);
  return text;
}

std::string compressed(const Kind& kind, const std::string& text, unsigned threads, std::size_t piece) {
  std::string out;
  const auto stream = kind.make(
      {.level = kind.level, .threads = threads, .check = {}},
      [&](std::span<const std::byte> bytes) { out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
  for (std::size_t at = 0; at < text.size(); at += piece)
    stream->write(std::as_bytes(std::span(text).subspan(at, std::min(piece, text.size() - at))));
  stream->finish();
  return out;
}

// By libarchive: neither zlib's, bzip2's nor liblzma's own reading, and with its own idea of members and streams.
std::string decompressed(const std::string& packed) {
  const std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(), archive_read_free);
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  archive_entry* entry = nullptr;
  EXPECT_EQ(archive_read_open_memory(reader.get(), packed.data(), packed.size()), ARCHIVE_OK);
  std::string text;
  const int status = archive_read_next_header(reader.get(), &entry);
  if (status == ARCHIVE_EOF) return text;
  EXPECT_EQ(status, ARCHIVE_OK) << archive_error_string(reader.get());
  std::vector<char> buffer(1 << 16);
  for (;;) {
    const la_ssize_t got = archive_read_data(reader.get(), buffer.data(), buffer.size());
    EXPECT_GE(got, 0) << archive_error_string(reader.get());
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

class Streams : public testing::TestWithParam<Kind> {};

TEST_P(Streams, GiveBackWhatWentIn) {
  // 512 KiB is gzip's block; 399,980 and 899,980 bytes are bzip2's.
  for (const std::size_t size : {0UL, 1UL, 399'980UL, 524'287UL, 524'288UL, 524'289UL, 1'100'000UL}) {
    const std::string text = text_of(size);
    EXPECT_TRUE(decompressed(compressed(GetParam(), text, 2, 100'000)) == text) << size;
  }
}

TEST_P(Streams, GiveTheSameBytesWhateverTheThreadsAndThePieces) {
  const std::string text = text_of(2'500'000);
  const std::string one = compressed(GetParam(), text, 1, text.size());
  EXPECT_TRUE(compressed(GetParam(), text, 2, 4096) == one);
  EXPECT_TRUE(compressed(GetParam(), text, 5, 777'777) == one);
  if (GetParam().level > 0) {
    EXPECT_LT(one.size(), text.size() * 7 / 10);
  }
}

TEST_P(Streams, ThrowWhatTheSinkThrows) {
  const std::string text = text_of(3'000'000);
  std::size_t taken = 0;
  const auto full = [&](std::span<const std::byte> bytes) {
    if ((taken += bytes.size()) > 100'000) throw std::runtime_error("disk full");
  };
  const auto stream = GetParam().make({.level = GetParam().level, .threads = 2, .check = {}}, full);
  const auto run = [&] {
    stream->write(std::as_bytes(std::span(text)));
    stream->finish();
  };
  EXPECT_THROW(run(), std::runtime_error);
}

INSTANTIATE_TEST_SUITE_P(
    All, Streams,
    testing::Values(Kind{"gzip", gzip_stream, 0}, Kind{"gzip", gzip_stream, 1}, Kind{"gzip", gzip_stream, 4},
                    Kind{"gzip", gzip_stream, 9}, Kind{"bzip2", bzip2_stream, 1}, Kind{"bzip2", bzip2_stream, 4},
                    Kind{"bzip2", bzip2_stream, 9}, Kind{"xz", xz_stream, 0}, Kind{"xz", xz_stream, 1}),
    [](const testing::TestParamInfo<Kind>& kind) { return kind.param.name + std::to_string(kind.param.level); });

// A block that looks back over its border costs less than one that does not.
TEST(GzipStream, LooksBackOverTheBordersOfBlocks) {
  std::string text;
  const std::string noise = text_of(20'000);
  while (text.size() < 4'000'000) text += noise;
  const Kind gzip{"gzip", gzip_stream, 9};
  const std::string whole = compressed(gzip, text, 2, text.size());
  // 8 blocks: had each to say the noise anew, that would cost some 8,000 bytes a block.
  EXPECT_LT(whole.size(), compressed(gzip, noise, 1, noise.size()).size() * 4);
}

TEST(XzStream, AsksWhetherToGoOn) {
  const std::string text = text_of(9'000'000);
  int asked = 0;
  const auto stop = [&] {
    if (++asked == 2) throw std::runtime_error("interrupted");
  };
  const auto stream = xz_stream({.level = 9, .threads = 2, .check = stop}, [](std::span<const std::byte>) {});
  const auto run = [&] {
    stream->write(std::as_bytes(std::span(text)));
    stream->finish();
  };
  EXPECT_THROW(run(), std::runtime_error);
}

class Failing : public BlockCompressor {
 public:
  void compress(Block& block) override {
    if (block.content.front() == std::byte{3}) throw std::runtime_error("no memory");
    block.packed = block.content;
  }
};

TEST(BlockPipeline, ThrowsWhatACompressorThrew) {
  std::vector<std::byte> taken;
  const auto run = [&] {
    BlockPipeline pipeline(
        {.block_bytes = 2, .look_back = 0, .threads = 3}, [] { return std::make_unique<Failing>(); },
        [&](const Block& block) { taken.insert(taken.end(), block.packed.begin(), block.packed.end()); });
    for (unsigned i = 0; i < 100; ++i) {
      const std::byte bytes[] = {std::byte(i), std::byte(i)};
      pipeline.write(bytes);
    }
    pipeline.finish();
  };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_LE(taken.size(), 6U);  // what came before, in order, and nothing after
  for (std::size_t i = 0; i < taken.size(); ++i) EXPECT_EQ(std::to_integer<unsigned>(taken[i]), i / 2);
}

}  // namespace
}  // namespace holdall::packer
