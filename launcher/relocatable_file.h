// One file of an unpacked tree that holds a prefix at recorded places: what it holds now, and its bytes for another.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bundle/file_descriptor.h"
#include "bundle/relocation_list.h"

namespace holdall::launcher {

// nullopt: the placeholder, as packed.
using HeldPrefix = std::optional<std::string>;

class RelocatableFile {
 public:
  // `record` must outlive the object; `file` is open for reading. Throws Error{kStorage}.
  RelocatableFile(const bundle::RelocatedFile& record, bundle::FileDescriptor file);

  // Which of `candidates` the file holds: the one from which its digest as packed follows. nullopt: none of them, so
  // the file is not as it was unpacked. Reads the whole file.
  std::optional<HeldPrefix> find_held(const std::vector<HeldPrefix>& candidates) const;

  // What the file asks for now: kHost if it is no program with room for a loader.
  bundle::LibcChoice libc() const;
  bool has_loader_room() const;

  // Its first bytes as packed, if it holds `held`.
  std::string packed_head(const HeldPrefix& held, std::size_t size) const;

  // Writes the file with `wanted` instead of `held` to `out`, an empty file; with its mode, owner and time.
  struct Wanted {
    HeldPrefix prefix;
    bundle::LibcChoice libc = bundle::LibcChoice::kHost;
  };
  void write_with(const HeldPrefix& held, const Wanted& wanted, int out) const;

 private:
  struct Patch {
    std::uint64_t offset = 0;
    std::string bytes;
  };
  bool is_text() const { return bundle::changes_length(record_.records.front()); }
  std::string read_at(std::uint64_t offset, std::size_t size) const;
  std::string whole() const;
  std::optional<std::string> packed_text(const std::string& text, const HeldPrefix& held) const;
  std::optional<std::vector<Patch>> packed_fields(const HeldPrefix& held) const;
  bundle::Digest digest_with(const std::vector<Patch>& patches) const;
  void copy_to(int out) const;

  const bundle::RelocatedFile& record_;
  bundle::FileDescriptor file_;
  std::uint64_t size_ = 0;
};

}  // namespace holdall::launcher
