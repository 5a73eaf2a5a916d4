// Collects the bytes that an edit changes, from tables as they were and as they shall be.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bundle/toc.h"

namespace holdall::packer {

class PatchList {
 public:
  // What differs between two texts of the same length that stand at `offset`. Ranges given must not overlap.
  void change(std::uint64_t offset, std::string_view old_bytes, std::string_view new_bytes);

  // All of a text as one patch, so that the plan shows whole what is replaced.
  void replace(std::uint64_t offset, std::string old_text, std::string new_text);

  template <typename Record>
  void change(std::uint64_t offset, std::span<const Record> old_records, std::span<const Record> new_records) {
    change(offset, view(old_records), view(new_records));
  }

  std::vector<bundle::ElfPatch> take();  // ascending

 private:
  template <typename Record>
  static std::string_view view(std::span<const Record> records) {
    return {reinterpret_cast<const char*>(records.data()), records.size_bytes()};
  }
  std::vector<bundle::ElfPatch> patches_;
};

}  // namespace holdall::packer
