// A read-only input file, opened once, read by position. Inputs are untrusted and may change while we read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace holdall::packer {

class InputFile {
 public:
  // Throws Error{kNotFound, kStorage} and, for anything that is not a regular file, Error{kCannotPack}.
  explicit InputFile(std::string path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile();

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }  // when it was opened

  // Fills `out` as far as the file goes; returns how many bytes were read.
  std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

// The whole file. Throws Error{kCannotPack} if it is larger than `limit`.
std::string read_whole(const std::string& path, std::uint64_t limit);

}  // namespace holdall::packer
