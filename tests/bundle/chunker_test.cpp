#include "bundle/chunker.h"

#include <algorithm>
#include <set>

#include "bundle/digest.h"
#include "tests/bundle/bundle_fixture.h"

namespace holdall::bundle {
namespace {

using namespace testing;

// The lengths of all chunks, with the bytes offered `step` at a time.
std::vector<std::size_t> cuts(std::string_view text, std::size_t step) {
  std::vector<std::size_t> sizes;
  const auto bytes = std::as_bytes(std::span(text));
  Chunker chunker;
  std::size_t begin = 0, end = 0;
  while (begin < bytes.size()) {
    end = std::min(bytes.size(), end + step);
    while (const auto size = chunker.cut(bytes.subspan(begin, end - begin), end == bytes.size())) {
      sizes.push_back(*size);
      begin += *size;
      if (begin == end) break;
    }
  }
  return sizes;
}

TEST(Chunker, TableIsThePinnedOne) {
  const auto table = gear_table();
  EXPECT_EQ(to_hex(sha256(std::as_bytes(table))), "4d9f4e4ee7b569a0da44bfcecd96276408d64ea9bc4f063bf1d106169c602b10");
}

TEST(Chunker, CutsDoNotDependOnHowTheBytesArrive) {
  const std::string text = noise(20'000'000, 7);
  const auto whole = cuts(text, text.size());
  EXPECT_EQ(cuts(text, 512 * 1024), whole);
  EXPECT_EQ(cuts(text, 4093), whole);
}

TEST(Chunker, KeepsMinimumMaximumAndAverage) {
  const std::string text = noise(200'000'000, 8);
  const auto sizes = cuts(text, text.size());
  std::size_t sum = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_TRUE(sizes[i] >= kMinChunk || i + 1 == sizes.size());
    EXPECT_LE(sizes[i], kMaxChunk);
    sum += sizes[i];
  }
  EXPECT_EQ(sum, text.size());
  EXPECT_NEAR(static_cast<double>(sum) / static_cast<double>(sizes.size()), 1 << 20, 200e3);
}

TEST(Chunker, AnInsertionMovesOnlyTheCutsNearIt) {
  const std::string before = noise(30'000'000, 9);
  std::string after = before;
  after.insert(10'000'000, "a few bytes more");
  const auto digests = [](const std::string& text) {
    std::set<std::string> found;
    std::size_t at = 0;
    for (const std::size_t size : cuts(text, text.size())) {
      found.insert(to_hex(sha256(std::as_bytes(std::span(text)).subspan(at, size))));
      at += size;
    }
    return found;
  };
  const auto old_chunks = digests(before), new_chunks = digests(after);
  std::size_t fresh = 0;
  for (const auto& digest : new_chunks) fresh += old_chunks.contains(digest) ? 0 : 1;
  EXPECT_GE(fresh, 1u);
  EXPECT_LE(fresh, 4u) << "of " << new_chunks.size();
}

TEST(Chunker, BytesWithoutContentAreCutAtTheMaximum) {
  EXPECT_EQ(cuts(std::string(10 << 20, '\0'), 1 << 20),
            (std::vector<std::size_t>{kMaxChunk, kMaxChunk, (10 << 20) - 2 * kMaxChunk}));
}

TEST(Chunker, AShortFileIsOneChunk) {
  EXPECT_EQ(cuts("x", 1), std::vector<std::size_t>{1});
}

}  // namespace
}  // namespace holdall::bundle
