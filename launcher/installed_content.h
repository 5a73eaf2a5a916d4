// What the installed releases of a store hold, found by digest: a new release takes from them what has not changed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bundle/known_content.h"
#include "bundle/relocation.h"
#include "bundle/safe_folder.h"
#include "launcher/store.h"

namespace holdall::launcher {

// Indexed by the releases' own tables of contents. A release whose table cannot be read is left out. Relocated files
// give their bytes as packed: the prefix is taken out again by their records.
class InstalledContent : public bundle::KnownContent {
 public:
  // `store` must outlive the object; while the lock is held, no release goes away.
  InstalledContent(const Store& store, const StoreLock& held);

  bool empty() const { return chunks_.empty(); }
  bool names(const bundle::Digest& chunk) const override { return find(chunks_, chunk) != nullptr; }
  bool read(const bundle::Digest& chunk, std::span<std::byte> out) const override;
  bundle::FileDescriptor open_whole(const bundle::Digest& file, std::uint64_t size) const override;

 private:
  struct Tree {
    bundle::FileDescriptor folder;
    bundle::Resolver resolver = bundle::Resolver::kByComponent;
    std::vector<std::string> prefixes;  // that its files may hold
  };
  struct File {
    std::size_t tree = 0;
    std::string path;
    std::uint64_t size = 0;  // as packed
    std::vector<bundle::Relocation> relocations;
  };
  struct Piece {
    bundle::Digest digest{};
    std::size_t file = 0;
    std::uint64_t offset = 0, size = 0;
  };

  void add(const bundle::FileDescriptor& folder, const std::string& prefix);
  static void sort(std::vector<Piece>& pieces);
  static const Piece* find(const std::vector<Piece>& pieces, const bundle::Digest& digest);
  bundle::FileDescriptor open(const File& file) const;

  std::vector<Tree> trees_;
  std::vector<File> files_;
  std::vector<Piece> chunks_, wholes_;  // by digest; `wholes_`: files that were not relocated
};

}  // namespace holdall::launcher
