#include "bundle/ordered_hash.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bundle/chunk_order.h"

namespace holdall::bundle {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(OrderedHash, GivesTheDigestOfTheWholeInWhateverOrderTheChunksCome) {
  const std::vector<std::string> chunks = {"one", "two", "three", "four"};
  const std::string whole = "onetwothreefour";
  for (const std::vector<std::size_t>& order :
       {std::vector<std::size_t>{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 3, 0, 1}}) {
    OrderedHash hash(chunks.size());
    int released = 0;
    std::optional<Digest> digest;
    for (const std::size_t index : order) {
      EXPECT_FALSE(digest);
      digest = hash.add(index, bytes_of(chunks[index]), [&] { ++released; });
    }
    ASSERT_TRUE(digest);
    EXPECT_EQ(*digest, sha256(bytes_of(whole)));
    EXPECT_EQ(released, 4);
  }
}

TEST(OrderedHash, HoldsABufferUntilItsTurnHasCome) {
  OrderedHash hash(2);
  bool released = false;
  const std::string second = "2", first = "1";
  EXPECT_FALSE(hash.add(1, bytes_of(second), [&] { released = true; }));
  EXPECT_FALSE(released);
  EXPECT_TRUE(hash.add(0, bytes_of(first), [] {}));
  EXPECT_TRUE(released);
}

TEST(OrderedHash, IsCompletedByExactlyOneOfManyThreads) {
  constexpr std::size_t kChunks = 2000;
  const std::string chunk(1000, 'c');
  std::string whole;
  for (std::size_t i = 0; i < kChunks; ++i) whole += chunk;
  OrderedHash hash(kChunks);
  std::atomic<std::size_t> next{0}, completed{0}, right{0};
  std::vector<std::thread> threads;
  const Digest expected = sha256(bytes_of(whole));
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (std::size_t i; (i = next++) < kChunks;)
        if (const auto digest = hash.add(i, bytes_of(chunk), [] {})) {
          ++completed;
          if (*digest == expected) ++right;
        }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(completed, 1U);
  EXPECT_EQ(right, 1U);
}

Toc toc_of(const std::vector<std::size_t>& chunk_counts) {
  Toc toc;
  for (const std::size_t count : chunk_counts) {
    Entry entry;
    entry.size = count * 10;
    entry.chunks.resize(count);
    toc.entries.push_back(entry);
  }
  return toc;
}

TEST(ChunkOrder, IsTheArchivesOwnForOneThread) {
  std::string order;
  ChunkOrder chunks(toc_of({2, 0, 1}), 1);
  while (const auto task = chunks.next(0))
    order += std::to_string(task->entry) + "." + std::to_string(task->chunk) + " ";
  EXPECT_EQ(order, "0.0 0.1 2.0 ");
}

TEST(ChunkOrder, GivesEveryChunkOnceAndEachFileInOrder) {
  for (const std::size_t threads : {0U, 1U, 2U, 5U, 50U}) {
    std::vector<std::size_t> next(4, 0);
    ChunkOrder chunks(toc_of({5, 1, 9, 3}), threads);
    std::size_t turn = 0;
    while (const auto task = chunks.next(turn++ % 3)) EXPECT_EQ(task->chunk, next[task->entry]++);
    EXPECT_EQ(next, (std::vector<std::size_t>{5, 1, 9, 3})) << threads;
  }
}

TEST(ChunkOrder, KeepsThreadsOutOfEachOthersFilesUntilTheirOwnAreDone) {
  ChunkOrder chunks(toc_of({4, 4, 4, 6}), 2);
  std::set<std::size_t> files[2];
  for (int i = 0; i < 8; ++i)
    for (std::size_t thread : {0U, 1U}) files[thread].insert(chunks.next(thread)->entry);
  for (const std::size_t file : files[0]) EXPECT_FALSE(files[1].contains(file)) << file;
  EXPECT_TRUE(chunks.next(0).has_value());  // helps with what the other has left
  EXPECT_TRUE(chunks.next(0).has_value());
  EXPECT_FALSE(chunks.next(0).has_value());
  EXPECT_FALSE(chunks.next(1).has_value());
}

}  // namespace
}  // namespace holdall::bundle
