// A file with some of its bytes replaced by others, of any length; nothing is written anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "packer/input_file.h"

namespace holdall::packer {

struct Splice {
  std::uint64_t offset = 0;   // in the original
  std::uint64_t removed = 0;  // bytes of it
  std::string inserted;
};

// What a file of `size` bytes is long afterwards. Splices are ascending, apart and inside the file.
std::uint64_t spliced_size(std::uint64_t size, const std::vector<Splice>& splices);

// And what a file was long that is `size` bytes long afterwards.
std::uint64_t original_size(std::uint64_t size, const std::vector<Splice>& splices);

class SplicedFile final : public ReadableFile {
 public:
  SplicedFile(std::shared_ptr<const ReadableFile> original, std::vector<Splice> splices);

  const std::string& path() const override { return original_->path(); }
  std::uint64_t size() const override { return size_; }
  std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::shared_ptr<const ReadableFile> original_;
  std::vector<Splice> splices_;
  std::vector<std::uint64_t> places_;  // where each splice's bytes begin in the result
  std::uint64_t size_;
};

// Bytes that stand in memory, as a file.
class MemoryFile final : public ReadableFile {
 public:
  MemoryFile(std::string path, std::string contents) : path_(std::move(path)), contents_(std::move(contents)) {}
  const std::string& path() const override { return path_; }
  std::uint64_t size() const override { return contents_.size(); }
  std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::string path_, contents_;
};

}  // namespace holdall::packer
