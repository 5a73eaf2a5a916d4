#include "bundle/entry_store.h"

#include <gtest/gtest.h>

namespace holdall::bundle {
namespace {

Entry file(const std::string& path, std::uint64_t size, std::size_t chunks) {
  Entry entry;
  entry.path = path;
  entry.size = size;
  entry.digest = sha256(std::as_bytes(std::span(path)));
  entry.layer = "app";
  for (std::size_t i = 0; i < chunks; ++i) {
    entry.chunks.push_back({.frame_offset = 1000 + 100 * i,
                            .frame_size = 100,
                            .offset = i * (size / chunks),
                            .size = size / chunks,
                            .digest = entry.digest,
                            .zeros = path.ends_with("zeros")});
  }
  return entry;
}

std::vector<Entry> of_every_kind() {
  std::vector<Entry> entries{file("a", 0, 0), file("a/long/path/to/one", 7, 1), file("a/long/path/to/zeros", 8, 1),
                             file("a/long/path", 9, 1), file("b/large", 90, 3)};
  Entry& folder = entries.emplace_back();
  folder.path = "b/folder";
  folder.type = EntryType::kDirectory;
  folder.executable = true;
  folder.layer = "runtime";
  Entry& link = entries.emplace_back();
  link.path = "b/folder/link";
  link.type = EntryType::kSymlink;
  link.link_target = "../large";
  Entry moved = file("b/folder/moved", 10, 1);
  moved.relocations.push_back({.offset = 1, .length = 2});
  entries.push_back(moved);
  Entry edited = file("b/folder/edited", 11, 1);
  edited.elf = ElfRecord{.patches = {}, .original_size = 12, .original_digest = edited.digest};
  entries.push_back(edited);
  Entry vendor = file("b/vendor", 13, 1);
  vendor.vendor = true;
  vendor.kernels.cubin = {"75"};
  entries.push_back(vendor);
  Entry odd = file("b/vendor/odd", 14, 1);  // a chunk that is not the whole file as it should be
  odd.chunks[0].digest = {};
  entries.push_back(odd);
  entries.push_back(file(std::string(4095, 'x'), 15, 1));
  entries.push_back(file("b", 16, 1));
  return entries;
}

TEST(EntryStore, GivesBackEveryKindOfEntryInOrder) {
  const std::vector<Entry> entries = of_every_kind();
  EntryStore store;
  for (const Entry& entry : entries) store.add(entry);
  EXPECT_EQ(store.size(), entries.size());
  Toc stored;
  store.for_each([&](const Entry& entry) { stored.entries.push_back(entry); });
  ASSERT_EQ(stored.entries.size(), entries.size());
  EXPECT_EQ(to_json(stored), to_json({entries}));  // all but the ends of frames between chunks
  for (std::size_t i = 0; i < entries.size(); ++i) {
    ASSERT_EQ(stored.entries[i].chunks.size(), entries[i].chunks.size()) << entries[i].path;
    for (std::size_t k = 0; k < entries[i].chunks.size(); ++k)
      EXPECT_EQ(stored.entries[i].chunks[k].frame_size, entries[i].chunks[k].frame_size) << entries[i].path;
  }
}

TEST(EntryStore, GivesBackMoreThanFitsIntoABlock) {
  EntryStore store;
  for (int i = 0; i < 20'000; ++i) store.add(file("folder/" + std::to_string(i), 1, 1));
  int count = 0;
  store.for_each([&](const Entry& entry) { EXPECT_EQ(entry.path, "folder/" + std::to_string(count++)); });
  EXPECT_EQ(count, 20'000);
}

TEST(EntryStore, OfNothingHasNothing) {
  const EntryStore store;
  EXPECT_EQ(EntryStore::Cursor(store).next(), nullptr);
}

}  // namespace
}  // namespace holdall::bundle
